import fc from 'fast-check';
import t from 'tap';
import { outputLimitOf, type Stream } from '../../src/command.ts';
import { OutputBuffer, WINDOW_BYTES } from '../../src/persistence/output-buffer.ts';

const roomy = { wrote: () => {}, full: () => {}, hasRoom: () => true };
const everything = outputLimitOf(2 ** 40);
const stream = fc.constantFrom<Stream>('stdout', 'stderr');

t.test('what is written comes out as it was, in order, whatever the sizes and the batches', async () => {
  const chunk = fc.record({ stream, size: fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constantFrom(4096, 20_000)) });
  const step = fc.oneof(chunk, fc.record({ take: fc.integer({ min: 1, max: 60_000 }) }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const buffer = new OutputBuffer('u', true, everything, roomy);
      let next = 0;
      const written: { stream: Stream; byte: number }[] = [];
      const read: { stream: Stream; byte: number }[] = [];
      const take = (max: number) => {
        for (const row of buffer.take(max, 7)) {
          if (row.offset !== read.length) throw new Error(`offset ${row.offset}, but ${read.length} bytes came before`);
          for (const byte of row.bytes) read.push({ stream: row.stream, byte });
        }
        buffer.committed();
      };
      for (const at of steps) {
        if ('take' in at) take(at.take);
        else {
          const bytes = Uint8Array.from({ length: at.size }, () => next++ & 0xff);
          for (const byte of bytes) written.push({ stream: at.stream, byte });
          buffer.write(at.stream, bytes);
        }
      }
      while (buffer.pendingBytes > 0) take(60_000);
      return JSON.stringify(read) === JSON.stringify(written) && buffer.pendingBytes === 0;
    }),
    { numRuns: 50 },
  );
});

t.test('neighbouring chunks of one stream become one row', async (t) => {
  const buffer = new OutputBuffer('u', true, everything, roomy);
  for (const letter of 'abc') buffer.write('stdout', Buffer.from(letter));
  buffer.write('stderr', Buffer.from('d'));
  buffer.write('stdout', Buffer.alloc(5000, 'e'));
  buffer.write('stdout', Buffer.from('f'));
  const rows = buffer
    .take(1e6, 100)
    .map(({ offset, stream, bytes }) => [offset, stream, Buffer.from(bytes).toString()]);
  t.same(rows, [
    [0, 'stdout', 'abc'],
    [3, 'stderr', 'd'],
    [4, 'stdout', `${'e'.repeat(5000)}f`],
  ]);
});

t.test('a writer is refused at the window, and woken when what it wrote is committed', async (t) => {
  const buffer = new OutputBuffer('u', false, everything, roomy);
  let woken = 0;
  buffer.onDrain = () => woken++;
  const half = Buffer.alloc(WINDOW_BYTES / 2);
  t.ok(buffer.write('stdout', half));
  t.notOk(buffer.write('stdout', half));
  buffer.take(WINDOW_BYTES * 2, 100);
  buffer.wake();
  t.equal(woken, 0, 'under way is not committed');
  buffer.committed();
  buffer.wake();
  buffer.wake();
  t.equal(woken, 1);
});

t.test('a writer is refused while the journal has no room', async (t) => {
  let room = false;
  const buffer = new OutputBuffer('u', false, everything, { wrote: () => {}, full: () => {}, hasRoom: () => room });
  let woken = 0;
  buffer.onDrain = () => woken++;
  t.notOk(buffer.write('stdout', Buffer.from('x')));
  buffer.wake();
  t.equal(woken, 0);
  room = true;
  buffer.wake();
  t.equal(woken, 1);
});

t.test('a million single bytes cost little more than a million bytes', async (t) => {
  const buffer = new OutputBuffer('u', false, everything, roomy);
  const byte = Buffer.from('x');
  const before = process.memoryUsage();
  for (let i = 0; i < WINDOW_BYTES; i++) buffer.write('stdout', byte);
  const after = process.memoryUsage();
  t.ok(after.arrayBuffers - before.arrayBuffers < 3 * WINDOW_BYTES);
  t.equal(buffer.take(Number.POSITIVE_INFINITY, 100)[0]?.bytes.length, WINDOW_BYTES);
});

t.test(
  'scripts that alternate between their streams are paused before their many small pieces fill the memory',
  async (t) => {
    const buffer = new OutputBuffer('u', false, everything, roomy);
    let pieces = 0;
    while (buffer.write(pieces % 2 === 0 ? 'stdout' : 'stderr', Buffer.from('x'))) pieces++;
    t.ok(pieces < 10_000, `${pieces} pieces`);
  },
);

t.test('scripts that alternate every other byte hold about the memory that is counted', async (t) => {
  const byte = Buffer.from('x');
  const before = process.memoryUsage().arrayBuffers;
  const buffers = Array.from({ length: 10 }, () => {
    const buffer = new OutputBuffer('u', false, everything, roomy);
    let bytes = 0;
    while (buffer.write(bytes % 4 < 2 ? 'stdout' : 'stderr', byte)) bytes++;
    return buffer;
  });
  const held = process.memoryUsage().arrayBuffers - before;
  const counted = buffers.reduce((sum, { pendingMemory }) => sum + pendingMemory, 0);
  t.ok(held <= 1.5 * counted, `${held} bytes held, ${counted} counted`);
  for (const buffer of buffers) {
    buffer.take(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    t.equal(buffer.pendingMemory, 0);
  }
});

t.test('a small chunk does not hold the large buffer that it was read into', async (t) => {
  const buffer = new OutputBuffer('u', false, everything, roomy);
  buffer.write('stdout', Buffer.alloc(64 * 1024, 'x').subarray(0, 10));
  t.equal(buffer.take(100, 100)[0]?.bytes.buffer.byteLength, 10);
});
