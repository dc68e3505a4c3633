import fc from 'fast-check';
import t from 'tap';
import type { Progress } from '../../src/command.ts';
import { ProgressLines } from '../../src/scripts/progress-lines.ts';

/** What is said when the whole of it comes in pieces that end at these places. */
function said(bytes: Buffer, secrets: string[] = [], ...ends: number[]): Progress | null {
  const lines = new ProgressLines(secrets);
  let latest: Progress | null = null;
  let start = 0;
  for (const end of [...ends, bytes.length]) {
    // As the bytes of a pipe, which are gone with the next look.
    const piece = Buffer.from(bytes.subarray(start, end));
    latest = lines.push(piece) ?? latest;
    piece.fill('9');
    start = end;
  }
  return lines.end() ?? latest;
}

const saidBy = (text: string, ...secrets: string[]) => said(Buffer.from(text), secrets);

t.test('a line is a percentage, and a text if one stands behind it', async (t) => {
  const lines: [string, number, string?][] = [
    ['42', 42],
    ['0', 0],
    ['100', 100],
    ['007', 7],
    ['42%', 42],
    ['42 %', 42],
    ['  42', 42],
    ['42\r', 42],
    ['42.5', 42.5],
    ['42,5 %', 42.5],
    ['33.333333', 33.33],
    ['100.000', 100],
    ['42 unpacking größe 🐚', 42, 'unpacking größe 🐚'],
    ['42% 7 of 9', 42, '7 of 9'],
    ['42\tunpacking  now \r', 42, 'unpacking  now'],
    ['42 %done', 42, '%done'],
    ['42   ', 42],
  ];
  for (const [line, percent, text = ''] of lines) t.same(saidBy(`${line}\n`), { percent, text }, JSON.stringify(line));
});

t.test('a line that is none changes nothing', async (t) => {
  for (const line of ['', ' ', 'x', '42x', '42%x', '42.', '.5', '-1', '101', '100.01', '1000', '1e1', '0x10', '५']) {
    t.equal(saidBy(`${line}\n`), null, JSON.stringify(line));
    t.same(saidBy(`7 before\n${line}\n`), { percent: 7, text: 'before' }, `behind one: ${JSON.stringify(line)}`);
  }
});

t.test('the latest counts, and what stands behind the last line end when nothing follows', async (t) => {
  t.same(saidBy('1\n2\n3\nnone\n\n'), { percent: 3, text: '' });
  t.same(saidBy('1\n2 without an end'), { percent: 2, text: 'without an end' });
  const lines = new ProgressLines([]);
  t.equal(lines.push(Buffer.from('4')), null, 'a line that is not whole is not known yet');
  t.same(lines.push(Buffer.from('2\n')), { percent: 42, text: '' });
  t.equal(lines.push(Buffer.from('none\n')), null);
  t.equal(lines.end(), null);
});

t.test('a text is cut to 255 characters, none of them in two', async (t) => {
  t.same(saidBy(`1 ${'🐚'.repeat(255)}x\n`), { percent: 1, text: '🐚'.repeat(255) });
});

t.test('a line of more than 4 KiB means nothing, however it comes, and costs no memory', async (t) => {
  const line = (bytes: number) => `5 ${'x'.repeat(bytes - 2)}\n`;
  t.match(saidBy(line(4096)), { percent: 5, text: 'x'.repeat(255) });
  t.equal(saidBy(line(4097)), null);
  const long = Buffer.from(`${line(300_000)}6\n${line(5000)}`);
  for (const step of [1000, 4096, 4097, 65_536]) {
    const ends = Array.from({ length: Math.ceil(long.length / step) }, (_, i) => (i + 1) * step);
    t.same(said(long, [], ...ends), { percent: 6, text: '' }, `in pieces of ${step}`);
  }
});

t.test('what PostgreSQL can not keep is no part of a text', async (t) => {
  t.same(said(Buffer.from('1 a\0b\xff\xc3c \xe2\x82', 'latin1')), { percent: 1, text: 'ab��c �' });
});

t.test('secrets are masked, over line ends and NUL characters too', async (t) => {
  t.same(saidBy('1 the swordfish swims\n', 'swordfish'), { percent: 1, text: 'the *** swims' });
  t.same(saidBy('1 sword\0fish\n', 'swordfish'), { percent: 1, text: '***' });
  t.same(saidBy('1 -- BEGIN\n2 END --\n', 'BEGIN\n2 END'), { percent: 1, text: '-- *** --' });
  t.same(saidBy(`1 ${'x'.repeat(250)}swordfish\n`, 'swordfish'), { percent: 1, text: `${'x'.repeat(250)}***` });
  t.same(saidBy('1 swordfi', 'swordfish'), { percent: 1, text: 'swordfi' }, 'what is none in the end');
});

t.test('it is the same however the bytes are cut', async () => {
  const piece = fc.constantFrom(
    '4',
    '42',
    '100',
    '7',
    '.',
    ',',
    '%',
    ' ',
    '\n',
    '\n',
    '\r',
    'x',
    'ü',
    '\0',
    'secret',
    'sec',
  );
  const text = fc.array(piece, { maxLength: 40 }).map((pieces) => Buffer.from(pieces.join('')));
  const secrets = fc.constantFrom<string[]>([], ['secret'], ['secret', 'x\n4', '42\n']);
  const cuts = fc.array(fc.nat(60), { maxLength: 8 }).map((ends) => ends.sort((a, b) => a - b));
  fc.assert(
    fc.property(text, secrets, cuts, (bytes, secrets, cuts) => {
      const ends = cuts.map((end) => Math.min(end, bytes.length));
      return JSON.stringify(said(bytes, secrets, ...ends)) === JSON.stringify(said(bytes, secrets));
    }),
    { numRuns: 3000 },
  );
});
