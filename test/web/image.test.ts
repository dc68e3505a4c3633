import { execFile } from 'node:child_process';
import { cpSync, existsSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { temporaryFolder } from '../helpers/server.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

t.test('the dashboard is built from what the Dockerfile copies for it, and nothing else', async (t) => {
  const folder = temporaryFolder(t);
  const [, stage = ''] = /AS dashboard\n(.*?)\nFROM/s.exec(readFileSync(join(root, 'Dockerfile'), 'utf8')) ?? [];
  const copied = [...stage.matchAll(/^COPY (.+) \S+$/gm)].flatMap(([, names = '']) => names.split(' '));
  t.ok(copied.length > 5);
  for (const name of copied) {
    cpSync(join(root, name), join(folder, name), { recursive: true, filter: (path) => !path.includes('/web/dist') });
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const [, script = ''] = /^RUN node (\S+)$/m.exec(stage) ?? [];
  await promisify(execFile)(process.execPath, [script], { cwd: folder });
  t.ok(existsSync(join(folder, 'web/dist/index.html')));

  const ignored = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n');
  for (const name of copied) t.ok(ignored.includes(`!${name}`), `the build of the image is given ${name}`);
});
