import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import type { OutputLimit, Stream } from '../../src/command.ts';
import { type Window, WindowPool } from '../../src/launcher/window.ts';
import { OutputBuffer, WINDOW_BYTES } from '../../src/persistence/output-buffer.ts';
import type { Cut, OutputRow } from '../../src/persistence/sql/output.ts';

const observer = { wrote: () => {}, full: () => {}, hasRoom: () => true };
const bytes = randomBytes(7 * 1024 * 1024);

/** A script, its launcher, servers that crash, and a database that has what was committed; all in the memory of the test. */
class World {
  readonly limit: OutputLimit;
  printed = 0;
  /** Rows by their place. */
  readonly rows = new Map<number, OutputRow>();
  /** The launcher's: what it has not been told to let go. */
  readonly #window: Window;
  #server: OutputBuffer;
  #batch: { rows: OutputRow[]; cut: Cut | null } | undefined;

  constructor(limit: OutputLimit) {
    this.limit = limit;
    this.#window = new WindowPool().open({
      onPiece: ({ stream, offset, bytes }) => this.#server.write(stream, bytes, offset),
      onFull: () => {},
    });
    this.#server = this.#newServer();
  }

  get storedUpTo(): number {
    return Math.max(0, ...[...this.rows.values()].map(({ offset, bytes }) => offset + bytes.length));
  }

  print(stream: Stream, size: number): void {
    const from = this.printed;
    this.printed += size;
    this.#window.write(stream, bytes.subarray(from, this.printed));
  }

  take(maxBytes: number): void {
    if (this.#batch === undefined) this.#batch = { rows: this.#server.take(maxBytes, 50), cut: this.#server.cut };
  }

  commit(): void {
    this.#store();
    this.#server.committed();
  }

  /** The server is gone, and with it what it has not committed; the answer to a commit may be lost. */
  crash(committed: boolean): void {
    if (committed) this.#store();
    this.#batch = undefined;
    this.#server = this.#newServer();
    // All at once, as over a socket: what is acknowledged meanwhile is heard later.
    const again = [...this.#window.from(this.storedUpTo)];
    for (const { stream, offset, bytes } of again) this.#server.write(stream, bytes, offset);
  }

  /** The script has ended. */
  finish(): void {
    this.commit();
    while (this.#server.pendingBytes > 0) {
      this.take(1e6);
      this.commit();
    }
    const { cut, totalBytes } = this.#server;
    if (totalBytes !== this.printed) throw new Error(`${totalBytes} bytes are told, but ${this.printed} were printed`);
    this.#drop(cut);
    if (cut === null) return;
    for (const row of [...this.rows.values()]) {
      const over = cut.upTo - row.offset;
      if (row.offset < cut.from || over <= 0) continue;
      this.rows.delete(row.offset);
      this.rows.set(cut.upTo, { ...row, offset: cut.upTo, bytes: row.bytes.subarray(over) });
    }
  }

  #newServer(): OutputBuffer {
    const server = new OutputBuffer('u', true, this.limit, observer, this.storedUpTo);
    server.onCommitted = (upTo) => this.#window.acknowledge(upTo);
    return server;
  }

  #store(): void {
    for (const row of this.#batch?.rows ?? []) this.rows.set(row.offset, { ...row, bytes: Buffer.from(row.bytes) });
    this.#drop(this.#batch?.cut ?? null);
    this.#batch = undefined;
    const gaps = gapsIn([...this.rows.values()]);
    if (gaps > 1) throw new Error(`${gaps} gaps in what is stored`);
  }

  #drop(cut: Cut | null): void {
    if (cut === null) return;
    for (const { offset, bytes } of this.rows.values()) {
      if (offset >= cut.from && offset + bytes.length <= cut.upTo) this.rows.delete(offset);
    }
  }
}

/** How many pieces of an output are missing between its beginning and the end of its last row. */
function gapsIn(rows: readonly OutputRow[]): number {
  let gaps = 0;
  let end = 0;
  for (const { offset, bytes } of rows.toSorted((a, b) => a.offset - b.offset)) {
    if (offset > end) gaps++;
    end = offset + bytes.length;
  }
  return gaps;
}

const limits = fc.constantFrom<OutputLimit>(
  { headBytes: 700, tailBytes: 500 },
  { headBytes: 200_000, tailBytes: 20_000 },
  { headBytes: 50_000, tailBytes: 300_000 },
);
const printing = fc.record({
  stream: fc.constantFrom<Stream>('stdout', 'stderr'),
  size: fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constantFrom(3000, 20_000, 65_536)),
});
const step = fc.oneof(
  { weight: 6, arbitrary: printing },
  { weight: 2, arbitrary: fc.record({ take: fc.constantFrom(100, 30_000, 1e6) }) },
  { weight: 2, arbitrary: fc.constant({ commit: true }) },
  { weight: 1, arbitrary: fc.record({ crash: fc.boolean() }) },
);

t.test('whatever is printed, written, and cut off by crashes: head and tail are stored to the byte', async () => {
  fc.assert(
    fc.property(limits, fc.array(step, { maxLength: 100, size: 'max' }), (limit, steps) => {
      const world = new World(limit);
      for (const at of steps) {
        if ('size' in at) world.print(at.stream, at.size);
        else if ('take' in at) world.take(at.take);
        else if ('crash' in at) world.crash(at.crash);
        else world.commit();
      }
      world.finish();
      const total = world.printed;
      const tailAt = Math.max(limit.headBytes, total - limit.tailBytes);
      const kept = [...world.rows.values()].sort((a, b) => a.offset - b.offset);
      const expected = [
        bytes.subarray(0, Math.min(limit.headBytes, total)),
        bytes.subarray(tailAt, Math.max(tailAt, total)),
      ];
      for (const row of kept) {
        if (row.offset < limit.headBytes && row.offset + row.bytes.length > limit.headBytes) return false;
        if (!bytes.subarray(row.offset, row.offset + row.bytes.length).equals(row.bytes)) return false;
      }
      return Buffer.concat(kept.map((row) => row.bytes)).equals(Buffer.concat(expected));
    }),
    { numRuns: 300 },
  );
});

t.test('behind a head that is committed a script goes on, though the database takes nothing more', async (t) => {
  for (const durable of [true, false]) {
    const buffer = new OutputBuffer('u', durable, { headBytes: 1000, tailBytes: 512 * 1024 }, observer);
    let acknowledged = 0;
    buffer.onCommitted = (upTo) => {
      acknowledged = upTo;
    };
    buffer.write('stdout', Buffer.alloc(600 * 1024));
    buffer.take(1e7, 100);
    buffer.committed();
    buffer.take(1e7, 100);
    const chunk = Buffer.alloc(64 * 1024);
    for (let i = 0; i < 1000; i++) {
      if (!buffer.write('stdout', chunk)) t.fail('the script waits');
      buffer.full();
      if (buffer.totalBytes - acknowledged > WINDOW_BYTES) t.fail('the launcher would let the script wait');
      if (buffer.pendingMemory > WINDOW_BYTES) t.fail('memory grows');
    }
    const [first] = buffer.take(1e7, 100);
    t.equal(first?.offset, buffer.totalBytes - 512 * 1024, 'nothing but the tail is ever written');
  }
});

t.test('what is stored of a tail has no gap of its own, though only a part of what waits fits a batch', async (t) => {
  const limit = { headBytes: 1000, tailBytes: 512 * 1024 };
  const buffer = new OutputBuffer('u', true, limit, observer);
  const print = (kibibytes: number) => {
    for (let i = 0; i < kibibytes / 64; i++) buffer.write('stdout', Buffer.alloc(64 * 1024));
  };
  const stored: OutputRow[] = [];
  const store = (maxBytes: number) => {
    stored.push(...buffer.take(maxBytes, 100));
    const { cut } = buffer;
    buffer.committed();
    return stored.filter(({ offset, bytes }) => cut === null || offset < cut.from || offset + bytes.length > cut.upTo);
  };
  print(64);
  store(1e7);
  print(640);
  store(100_000);
  print(256);
  const kept = store(100_000);
  t.equal(gapsIn(kept), 1);
  t.equal(kept.at(-1)?.offset, buffer.totalBytes - limit.tailBytes);
});

t.test('many small pieces are written before they fill the memory, behind the head too', async (t) => {
  let full = 0;
  const counting = { ...observer, full: () => full++ };
  const buffer = new OutputBuffer('u', false, { headBytes: 1000, tailBytes: 512 * 1024 }, counting, 1000);
  let pieces = 0;
  while (buffer.write(pieces % 2 === 0 ? 'stdout' : 'stderr', Buffer.from('x'))) pieces++;
  t.ok(pieces < 10_000, `${pieces} pieces`);
  buffer.full();
  t.equal(full, 1, 'the journal is asked to write them');
});

t.test('a server that takes over a command which has printed too much already knows so', async (t) => {
  const limit = { headBytes: 1000, tailBytes: 500 };
  await new OutputBuffer('u', true, limit, observer, 1501).overLimit;
  const buffer = new OutputBuffer('u', true, limit, observer, 1500);
  let over = false;
  void buffer.overLimit.then(() => {
    over = true;
  });
  await new Promise(setImmediate);
  t.notOk(over);
  buffer.write('stdout', Buffer.from('x'));
  await new Promise(setImmediate);
  t.ok(over);
});
