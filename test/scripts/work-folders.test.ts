import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { RunInputs, RunOptions } from '../../src/command.ts';
import { spawnerByChildProcess } from '../../src/os/child-process.ts';
import { killTrees } from '../../src/os/process-trees.ts';
import { createSpawner } from '../../src/os/spawn.ts';
import { createInProcessRunner } from '../../src/process/in-process.ts';
import { WorkFolders } from '../../src/scripts/work-folders.ts';
import { processesWith, uniqueSeconds } from '../helpers/processes.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { CollectingSink } from '../helpers/sink.ts';
import { until } from '../helpers/until.ts';

const dataDir = temporaryFolder(t);
const runner = await createInProcessRunner({ dataDir, environment: process.env, cgroups: true });
/** What is in the folder that all working folders are in. */
const folders = () => readdirSync(join(dataDir, 'work'));

function start(t: Test, script: string, options: RunOptions = {}, inputs: RunInputs = {}) {
  const uuid = randomUUID();
  const sink = new CollectingSink();
  const running = runner.start({ uuid, script, options, inputs, secretEnv: {} }, sink);
  t.teardown(() => running.kill());
  return { running, sink, uuid };
}

/** Runs a script to its end. */
async function run(...args: Parameters<typeof start>) {
  const { running, sink, uuid } = start(...args);
  const { end } = await running.ended;
  return { end, text: sink.text(), uuid };
}

t.test(
  'each command works in a folder of its own, empty and for its user alone, that is gone after its end',
  async (t) => {
    const texts = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const { text, uuid } = await run(
          t,
          `basename "$PWD"; stat -c %a .; ls -A | wc -l; echo ${i} >file; sleep 0.1; cat *`,
        );
        return [text, `${uuid}\n700\n0\n${i}\n`];
      }),
    );
    for (const [text, expected] of texts) t.equal(text, expected);
    await until('all are gone', () => folders().length === 0);
  },
);

t.test('a folder goes with all that is in it, and nothing goes that a link in it leads to', async (t) => {
  const other = join(dataDir, 'other');
  mkdirSync(other);
  writeFileSync(join(other, 'file'), 'stays');
  await run(
    t,
    `
    ln -s ${other} link; ln -s ${other}/file; ln -s ${other}/. "link with blanks"; mkdir -p a/b/c; ln -s ${other} a/b/c
    touch ./-rf $'new\\nline' .hidden a/b/c/file; mkfifo pipe; mkdir locked; touch locked/file; chmod 0 locked; chmod 500 a/b`,
  );
  await until('it is gone', () => folders().length === 0);
  t.equal(readFileSync(join(other, 'file'), 'utf8'), 'stays');
});

t.test('a script may remove its folder, or put something else there', async (t) => {
  await run(t, 'rm -r "$PWD"');
  await run(t, 'rm -r "$PWD"; touch "$PWD"');
  await run(t, 'rm -r "$PWD"; ln -s / "$PWD"');
  await until('nothing is left', () => folders().length === 0);
});

t.test('none is made where a client gives one, and none is left of a command that could not be started', async (t) => {
  const cwd = join(dataDir, 'given');
  mkdirSync(cwd);
  t.equal((await run(t, 'pwd; touch file', {}, { cwd })).text, `${cwd}\n`);
  t.same([readdirSync(cwd), folders()], [['file'], []]);
  const { end } = await run(t, 'echo never', {}, { args: ['x'.repeat(3_000_000)] });
  t.match(end, { kind: 'spawn_error' });
  await until('that of a command that could not be started is gone', () => folders().length === 0);
});

t.test('the folder of a command that left something in the background stays as long as that lives', async (t) => {
  const seconds = uniqueSeconds();
  const leave = `touch file; setsid sleep ${seconds} >/dev/null 2>&1 & echo left`;
  const { running, uuid } = start(t, leave, { keepBackground: true });
  await running.ended;
  t.teardown(() => killTrees([uuid]));
  t.equal(processesWith(`sleep\0${seconds}`).length, 1);
  t.same(folders(), [uuid]);
});

for (const spawner of [await createSpawner(), spawnerByChildProcess]) {
  t.test(`what nobody works in any more is swept, by ${spawner.kind}`, async (t) => {
    const root = temporaryFolder(t);
    const [inUse, living, left, full] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
    for (const uuid of [living, left, full]) mkdirSync(join(root, uuid));
    mkdirSync(join(root, 'of somebody else'));
    writeFileSync(join(root, full, 'file'), '');
    const env = { PATH: process.env.PATH as string, SHELLVISOR_COMMAND_UUID: living };
    const holder = await spawner.spawn('/bin/sleep', ['1000'], { cwd: '/', env });
    const work = new WorkFolders({ root, spawner, bash: '/bin/bash', env: { PATH: env.PATH }, sweepMs: 100 });
    work.make(inUse);
    await until('what was left is gone', () => !existsSync(join(root, left)) && !existsSync(join(root, full)));
    t.same(readdirSync(root).sort(), [inUse, living, 'of somebody else'].sort());
    process.kill(holder.pid, 'SIGKILL');
    await holder.exited;
    await until('that of who has died is gone', () => !existsSync(join(root, living)));
    holder.reap();
    for (const end of [holder.stdout, holder.stderr]) end.destroy();
    holder.side.close();
    t.ok(existsSync(join(root, inUse)), 'that of a command that runs stays, however long');
    work.release(inUse, true);
    await until('it is gone too', () => readdirSync(root).length === 1);
  });
}
