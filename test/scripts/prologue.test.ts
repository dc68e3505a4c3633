import { randomUUID } from 'node:crypto';
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createInProcessRunner } from '../../src/process/in-process.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { CollectingSink } from '../helpers/sink.ts';

/** An owner of scripts on a data folder. */
const owner = (dataDir: string) => createInProcessRunner({ dataDir, environment: process.env, cgroups: false });
const prologuesIn = (dataDir: string) => readdirSync(dataDir).filter((name) => name.startsWith('prologue'));

/** Runs a script to its end. @returns whether it was in its process tree, which only the prologue puts it into. */
async function isMarked(t: Test, runner: Awaited<ReturnType<typeof owner>>) {
  const sink = new CollectingSink();
  const uuid = randomUUID();
  const running = runner.start({ uuid, script: 'ulimit -HR', options: {}, inputs: {}, secretEnv: {} }, sink);
  t.teardown(() => running.kill());
  t.match(await running.ended, { end: { kind: 'exited', exitCode: 0 } });
  return /^\d{19}\n$/.test(sink.text());
}

t.test('a bash that starts while another owner does reads all of the prologue', async (t) => {
  const dataDir = temporaryFolder(t);
  await owner(dataDir);
  const [name] = prologuesIn(dataDir) as [string];
  const reader = openSync(join(dataDir, name), 'r');
  t.teardown(() => closeSync(reader));
  await owner(dataDir);
  t.equal(fstatSync(reader).nlink, 0, 'what it reads was replaced, and not written to');
  t.match(readFileSync(reader, 'utf8'), 'BASH_ENV');
  t.same(prologuesIn(dataDir), [name], 'nothing else is left there');
});

t.test('owners of several versions leave each other their prologues', async (t) => {
  const dataDir = temporaryFolder(t);
  const others = ['prologue.bash', 'prologue-0123456789abcdef.bash'];
  for (const name of others) writeFileSync(join(dataDir, name), 'exit 3');
  t.ok(await isMarked(t, await owner(dataDir)));
  for (const name of others) t.equal(readFileSync(join(dataDir, name), 'utf8'), 'exit 3', name);
});

t.test('one that a script has removed is there again for the next', async (t) => {
  const dataDir = temporaryFolder(t);
  const runner = await owner(dataDir);
  for (const name of prologuesIn(dataDir)) rmSync(join(dataDir, name));
  t.ok(await isMarked(t, runner));
  t.equal(prologuesIn(dataDir).length, 1);
});
