import t from 'tap';
import { runModule } from '../helpers/own-program.ts';

t.test('children can gain no privileges, also when the threads of libuv were there before', async (t) => {
  const shown = await runModule(`
    import { readFile } from 'node:fs/promises';
    import { spawnSync } from 'node:child_process';
    import { spawnerByChildProcess } from '../../src/os/child-process.ts';
    import { createSpawner } from '../../src/os/spawn.ts';
    await Promise.all(Array.from({ length: 8 }, () => readFile('/proc/self/stat')));
    const before = spawnerByChildProcess.deniesPrivileges;
    const spawner = await createSpawner();
    const children = await Promise.all(Array.from({ length: 64 }, () =>
      spawner.spawn('/bin/bash', ['-c', 'grep -q "NoNewPrivs:.1" /proc/self/status'], { cwd: '/', env: {} })));
    const codes = new Set();
    for (const { exited, stdout, stderr, side } of children) {
      codes.add((await exited).exitCode);
      stdout.destroy();
      stderr.destroy();
      side.close();
    }
    console.log(before, spawner.kind, spawner.deniesPrivileges, spawnerByChildProcess.deniesPrivileges, ...codes);
  `);
  t.equal(shown, 'false posix_spawn true true 0\n');
});
