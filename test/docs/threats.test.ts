import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';

const ROOT = new URL('../../', import.meta.url);
const rows = readFileSync(new URL('docs/threats.md', ROOT), 'utf8')
  .split('\n')
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .filter(([, threat = '']) => threat !== '' && threat !== 'threat' && !threat.startsWith('---'))
  .map(([, threat = '', answer = '', trials = '']) => ({ threat, answer, trials }));

t.test('each threat names what stands against it and where that is tried, and all of these are there', async (t) => {
  t.ok(rows.length > 30);
  for (const { threat, answer, trials } of rows) {
    t.ok(answer, threat);
    t.ok(trials, threat);
    let folder = '';
    for (const [, name = ''] of trials.matchAll(/`((?:[\w-]+\/)*(?:[\w-]+\.test\.ts)?)`/g)) {
      // Of several in one folder only the first names it.
      const path = name.includes('/') ? name : folder + name;
      folder = path.replace(/[^/]*$/, '');
      t.ok(existsSync(new URL(path, ROOT)), `${threat}: ${path}`);
    }
  }
});
