import t from 'tap';
import type { Span } from '../../web/src/output/ansi.ts';
import { Lines } from '../../web/src/output/lines.ts';
import { findLines } from '../../web/src/output/search.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const stdout = (...parts: string[]) => {
  const lines = new Lines();
  for (const part of parts) lines.append('stdout', bytes(part));
  return lines;
};
const all = (lines: Lines) => Array.from({ length: lines.length }, (_, i) => lines.plainAt(i));
const texts = (spans: Span[]) => spans.map(({ text, style }) => [text, style]);

t.test('lines are whole in whatever pieces they come', async (t) => {
  t.same(all(stdout('one\ntwo', ' goes on\n', '\nlast')), ['one', 'two goes on', '', 'last']);
  const lines = new Lines();
  const [first = 0, ...rest] = bytes('é\n');
  lines.append('stdout', Uint8Array.of(first));
  lines.append('stdout', Uint8Array.from(rest));
  t.same(all(lines), ['é']);
  t.equal(stdout().length, 0);
  t.equal(stdout('x'.repeat(10_000)).length, 3, 'one without an end is cut');
});

t.test('colours and styles are those of a terminal, and go on over lines', async (t) => {
  const lines = stdout(
    '\u001b[1;31mred\u001b[0m plain\n\u001b[38;5;196mcube \u001b[48;2;1;2;3mall\nstill\u001b[39;49m\n',
  );
  t.same(texts(lines.spansAt(0)), [
    ['red', { bold: true, fg: 1 }],
    [' plain', {}],
  ]);
  t.same(texts(lines.spansAt(1)), [
    ['cube ', { fg: 'rgb(255 0 0)' }],
    ['all', { fg: 'rgb(255 0 0)', bg: 'rgb(1 2 3)' }],
  ]);
  t.same(texts(lines.spansAt(2)), [['still', { fg: 'rgb(255 0 0)', bg: 'rgb(1 2 3)' }]]);
  t.same(texts(stdout('\u001b[92;44;7mx').spansAt(0)), [['x', { fg: 10, bg: 4, inverse: true }]]);
});

t.test('what moves the cursor does not show, and a bar of progress is its last state', async (t) => {
  t.same(all(stdout('\u001b[2J\u001b[1;1Hclear\u001b]0;title\u0007ed\u0000\n')), ['cleared']);
  t.same(all(stdout('10 %\r50 %\r100 %\r\ndone\r\n')), ['100 %', 'done']);
});

t.test('stderr is told apart, within a line too', async (t) => {
  const lines = new Lines();
  lines.append('stdout', bytes('to stdout, '));
  lines.append('stderr', bytes('to stderr\nagain\n'));
  lines.append('stdout', bytes('back\n'));
  const shown = (index: number) => lines.spansAt(index).map(({ text, isError }) => [text, isError]);
  t.same(
    [shown(0), shown(1), shown(2)],
    [
      [
        ['to stdout, ', false],
        ['to stderr', true],
      ],
      [['again', true]],
      [['back', false]],
    ],
  );
});

t.test('a million lines are kept and searched in little time', async (t) => {
  const lines = new Lines();
  const begin = performance.now();
  for (let i = 0; i < 1_000_000; i += 1000) {
    lines.append('stdout', bytes(Array.from({ length: 1000 }, (_, j) => `line ${i + j}\n`).join('')));
  }
  t.equal(lines.length, 1_000_000);
  t.same(await findLines(lines, 'LINE 99999'), [99_999, ...Array.from({ length: 10 }, (_, i) => 999_990 + i)]);
  t.ok(performance.now() - begin < 20_000, `${performance.now() - begin} ms`);
  const ending = new AbortController();
  const looking = findLines(lines, 'nothing', ending.signal);
  ending.abort();
  t.equal(await looking, undefined, 'meanwhile the page does other things, and may lose interest');
  lines.note('[gap]');
  t.equal(lines.plainAt(1_000_000), '[gap]');
});
