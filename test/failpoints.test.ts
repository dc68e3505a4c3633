import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { armFailpoint } from '../src/failpoints.ts';
import { launch, temporaryFolder } from './helpers/server.ts';

const module = new URL('../src/failpoints.ts', import.meta.url).href;

/** Passes a failpoint three times in a process of its own; tells how often it got past it, and what ended it. */
function passThrice(value: string, dataDir: string) {
  const program = `
    import { armFailpoint } from '${module}';
    const passes = armFailpoint({ SHELLVISOR_FAILPOINT: '${value}' }, '${dataDir}');
    for (let i = 1; i <= 3; i++) { passes('before-ack'); passes('after-insert'); process.stdout.write('x'); }`;
  const { stdout, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  return { passed: stdout.length, signal };
}

t.test('without the variable no failpoint is armed', async (t) => {
  t.equal(armFailpoint({}, '/nowhere'), undefined);
  t.equal(armFailpoint({ SHELLVISOR_FAILPOINT: '' }, '/nowhere'), undefined);
});

t.test('it kills at the pass that was asked for, once per data folder', async (t) => {
  for (const [value, passed] of [
    ['after-insert', 0],
    ['after-insert:3', 2],
  ] as const) {
    const folder = temporaryFolder(t);
    t.same(passThrice(value, folder), { passed, signal: 'SIGKILL' });
    t.same(readdirSync(folder), ['failpoint-after-insert']);
    t.same(passThrice(value, folder), { passed: 3, signal: null }, 'the next one lives');
  }
});

t.test('an unknown failpoint stops the start with one line that names it', async (t) => {
  for (const value of ['after-lunch', 'after-insert:0', 'after-insert:']) {
    const server = launch(t, { DATA_DIR: join(temporaryFolder(t), 'data'), SHELLVISOR_FAILPOINT: value });
    t.same(await server.exited, { code: 1, signal: null });
    t.match(
      server.stderr(),
      /^shellvisor: SHELLVISOR_FAILPOINT must be one of after-insert, .* not "after-[a-z:0]+"\n$/,
    );
  }
});
