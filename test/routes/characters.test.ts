import fc from 'fast-check';
import t from 'tap';
import { type Place, type Run, WholeCharacters } from '../../src/routes/characters.ts';

const text = (run: Run | null) => (run === null ? null : Buffer.from(run.bytes).toString());

t.test('a character is given when it is whole, wherever its stream was cut', async (t) => {
  const characters = new WholeCharacters(0);
  const bytes = Buffer.from('aé€😀');
  t.same(
    [...bytes].map((byte, offset) => text(characters.take({ stream: 'stdout', offset, bytes: Buffer.from([byte]) }))),
    ['a', null, 'é', null, null, '€', null, null, null, '😀'],
  );
  t.same(characters.place, { at: 10, held: 10 });
});

t.test('what is no beginning of a character is not held back', async (t) => {
  for (const bytes of [[0x80], [0xbf, 0xbf, 0xbf], [0xc0], [0xc1], [0xf5], [0xff], [0x41, 0x80], [0xc3, 0xa9, 0x80]]) {
    const run = new WholeCharacters(0).take({ stream: 'stdout', offset: 0, bytes: Buffer.from(bytes) });
    t.same([...(run?.bytes ?? [])], bytes);
  }
});

t.test('who goes on from any place gets all that is left, once, whatever was printed', async (t) => {
  const stream = fc.constantFrom<Run['stream']>('stdout', 'stderr');
  const bytes = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 6 }).map((text) => Buffer.from(text)),
    fc.uint8Array({ minLength: 1, maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom(0xe2, 0x82, 0xf0, 0x9f, 0xc3, 0xa9).map((byte) => Buffer.from([byte])),
  );
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(fc.tuple(stream, bytes), { maxLength: 12 }), fc.nat(), fc.nat(), (chunks, cut, stop) => {
        // Each chunk in two, so that characters are cut.
        const runs: Run[] = [];
        let at = 0;
        for (const [stream, bytes] of chunks) {
          const middle = cut % (bytes.length + 1);
          for (const part of [bytes.subarray(0, middle), bytes.subarray(middle)]) {
            if (part.length > 0) runs.push({ stream, offset: at, bytes: part });
            at += part.length;
          }
        }
        const given: Run[] = [];
        const places: Place[] = [{ at: 0, held: 0 }];
        const follow = (from: Place) => {
          const characters = new WholeCharacters(from.held);
          const note = (run: Run | null) => {
            if (run === null) return;
            given.push(run);
            places.push(characters.place);
          };
          const clip = (run: Run, start: number, end: number) => {
            const bytes = run.bytes.subarray(Math.max(0, start - run.offset), Math.max(0, end - run.offset));
            return bytes.length === 0 ? [] : [{ ...run, offset: Math.max(run.offset, start), bytes }];
          };
          for (const run of runs.flatMap((run) => clip(run, from.held, from.at))) characters.take(run);
          characters.skip(from.at);
          for (const run of runs.flatMap((run) => clip(run, from.at, at))) note(characters.take(run));
          for (const run of characters.rests()) note(run);
        };
        follow({ at: 0, held: 0 });
        const whole = given.splice(0);
        const count = stop % (whole.length + 1);
        const place = places[count] as Place;
        given.push(...whole.slice(0, count));
        follow(place);
        for (const stream of ['stdout', 'stderr']) {
          const of = (runs: Run[]) =>
            Buffer.concat(runs.filter((run) => run.stream === stream).map(({ bytes }) => bytes)).toString('hex');
          if (of(given) !== of(runs))
            throw new Error(`${stream}: ${of(given)} instead of ${of(runs)} from ${JSON.stringify(place)}`);
        }
      }),
      { numRuns: 2000 },
    ),
  );
});
