import fc from 'fast-check';
import t from 'tap';
import { Mask } from '../../src/scripts/mask.ts';

/** The same over the whole, as simple as can be. */
function masked(text: Buffer, secrets: string[]): string {
  const longestFirst = secrets.map((secret) => Buffer.from(secret)).sort((a, b) => b.length - a.length);
  let out = '';
  for (let i = 0; i < text.length; ) {
    const found = longestFirst.find((secret) => text.subarray(i, i + secret.length).equals(secret));
    out += found === undefined ? text.toString('latin1', i, i + 1) : '***';
    i += found?.length ?? 1;
  }
  return out;
}

/** Puts together what comes of a text in chunks of these lengths, again and again; null when more is held than may be. */
function inChunks(text: Buffer, secrets: string[], lengths: number[]): string | null {
  const mask = new Mask(secrets);
  const mayBeHeld = Math.max(...secrets.map((secret) => Buffer.byteLength(secret))) - 1;
  let out = '';
  let at = 0;
  for (let i = 0; at < text.length; i++) {
    const chunk = Buffer.from(text.subarray(at, at + (lengths[i % lengths.length] as number)));
    out += Buffer.from(mask.push(chunk)).toString('latin1');
    at += chunk.length;
    if (!chunk.equals(text.subarray(at - chunk.length, at))) throw new Error('a chunk was changed');
    const isUpTo = (end: number) => masked(text.subarray(0, end), secrets) === out;
    if (!Array.from({ length: mayBeHeld + 1 }, (_, held) => Math.max(at - held, 0)).some(isUpTo)) return null;
  }
  out += Buffer.from(mask.end()).toString('latin1');
  return mask.end().length === 0 ? out : null;
}

t.test('however a text is cut, its secrets are masked as if it were looked at as a whole', async () => {
  const letters = (max: number) => fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: max });
  const secrets = fc.array(fc.oneof(letters(3), letters(9), fc.constantFrom('a\nb', 'ü', 'aaaaaa', 'abaabaab')), {
    minLength: 1,
    maxLength: 4,
  });
  const text = fc.array(fc.constantFrom('a', 'b', 'a', 'b', 'c', '\n', 'ü', '\xc3'), { maxLength: 60 });
  const lengths = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(text, secrets, lengths, (letters, secrets, lengths) => {
      const bytes = Buffer.concat(letters.map((letter) => Buffer.from(letter, letter === 'ü' ? 'utf8' : 'latin1')));
      return inChunks(bytes, secrets, lengths) === masked(bytes, secrets);
    }),
    { numRuns: 3000 },
  );
});

t.test('nothing is held back that can not be the beginning of a secret', async (t) => {
  const mask = new Mask(['swordfish', 'multi\nline']);
  const push = (text: string) => Buffer.from(mask.push(Buffer.from(text))).toString();
  t.equal(push('the sword is no fish\n'), 'the sword is no fish\n');
  t.equal(push('two swo'), 'two ');
  t.equal(push('rdfis'), '');
  t.equal(push('h, multi'), '***, ');
  t.equal(push('\n'), '');
  t.equal(push('lin'), '');
  t.equal(push('t sw'), 'multi\nlint ');
  t.equal(Buffer.from(mask.end()).toString(), 'sw');
});

t.test('a long secret that comes in single bytes, and one that repeats itself, cost little', async (t) => {
  const secret = `${'a'.repeat(20_000)}b`;
  const text = Buffer.from(`${'a'.repeat(30_000)}c${secret}`);
  const began = performance.now();
  const mask = new Mask([secret, 'aaaaab']);
  let out = 0;
  for (let i = 0; i < text.length; i += 10) out += mask.push(text.subarray(i, i + 10)).length;
  out += mask.end().length;
  t.equal(out, 30_001 + 3);
  // A comparison of all that is held at each chunk would take minutes.
  t.ok(performance.now() - began < 10_000);
});
