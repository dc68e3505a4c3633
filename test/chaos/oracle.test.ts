import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import {
  compareEnded,
  compareLines,
  compareLost,
  compareStopped,
  type OracleSpec,
  oracleScript,
  readPrinted,
  wholeOutput,
} from '../helpers/oracle.ts';
import { temporaryFolder } from '../helpers/server.ts';

const same = { lost: 0, doubled: 0, disordered: false };

t.test('lost, doubled, torn and exchanged lines are counted', async (t) => {
  t.same(compareLines('1\n2\n3\n', '1\n2\n3\n'), same);
  t.same(compareLines('1\n3\n', '1\n2\n3\n'), { ...same, lost: 2 });
  t.same(compareLines('1\n2\n2\n3\n', '1\n2\n3\n'), { ...same, doubled: 2 });
  t.same(compareLines('1\n2', '1\n23\n'), { ...same, lost: 3, doubled: 1 });
  t.same(compareLines('2\n1\n', '1\n2\n'), { ...same, disordered: true });
  t.same(compareLines('', '1\n'), { ...same, lost: 2 });
});

t.test('the script prints what the oracle expects, and notes the same in its side files', async (t) => {
  const side = join(temporaryFolder(t), 'a');
  const spec: OracleSpec = { side, lines: 150, filler: 100, pauseEvery: 100, pauseMs: 1, exitCode: 7 };
  const { stdout, stderr, status } = spawnSync('bash', ['-c', oracleScript(spec)], { encoding: 'latin1' });
  t.equal(status, 7);
  t.equal(stdout, wholeOutput(spec, 'stdout'));
  t.equal(stderr, wholeOutput(spec, 'stderr'));
  t.same(readPrinted(side), { runs: 1, stdout, stderr });
  t.same(compareEnded({ stdout, stderr, seamless: true }, readPrinted(side)), same);
  t.same(compareEnded({ stdout, stderr: '', seamless: true }, readPrinted(side)), { ...same, lost: stderr.length });

  const lines = stdout.split('\n');
  const cut = (count: number) => `${lines.slice(0, count).join('\n')}\n`;
  const stopped = (count: number, stored: string) =>
    compareStopped(spec, { stdout: stored, stderr: '', seamless: true }, { runs: 1, stdout: cut(count), stderr: '' });
  t.same(stopped(10, cut(10)), same);
  t.same(stopped(10, cut(11)), same, 'one line more was printed than could be noted');
  t.same(stopped(10, cut(11).slice(0, -5)), same, 'or a part of it');
  t.match(stopped(10, cut(12)), { doubled: cut(12).length - cut(10).length }, 'two are too many');
  t.match(stopped(10, cut(9)), { lost: cut(10).length - cut(9).length });
  t.match(stopped(10, `${cut(10)}x`), { doubled: 1 });

  const lost = (before: string, stored: string) =>
    compareLost(spec, { stdout: stored, stderr: '', seamless: true }, { stdout: before, stderr: '', seamless: true });
  t.same(lost(cut(5), cut(7)), same);
  t.same(lost(cut(5), cut(7).slice(0, -3)), same, 'a prefix may end anywhere');
  t.match(lost(cut(5), cut(4)), { lost: cut(5).length - cut(4).length });
  t.match(lost('', `${cut(5)}x`), { doubled: 1, disordered: true });
});
