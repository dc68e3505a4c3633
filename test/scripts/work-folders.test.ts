import { spawn, spawnSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import type { RunInputs, RunOptions } from '../../src/command.ts';
import { spawnerByChildProcess } from '../../src/os/child-process.ts';
import { killTrees } from '../../src/os/process-trees.ts';
import { createSpawner } from '../../src/os/spawn.ts';
import { createInProcessRunner } from '../../src/process/in-process.ts';
import { findAccount } from '../../src/scripts/account.ts';
import { WorkFolders, type WorkFoldersOptions } from '../../src/scripts/work-folders.ts';
import { processesWith, uniqueSeconds } from '../helpers/processes.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { CollectingSink } from '../helpers/sink.ts';
import { until } from '../helpers/until.ts';

const dataDir = temporaryFolder(t);
const runner = await createInProcessRunner({ dataDir, environment: process.env, cgroups: true });
/** The working folders that are there. */
const folders = () => {
  const work = join(dataDir, 'work');
  return readdirSync(work).flatMap((owner) => readdirSync(join(work, owner)));
};
const flock = '/usr/bin/flock';
/** Makes the folder of an owner that is gone. */
function abandonedIn(root: string): string {
  const path = join(root, randomBytes(4).toString('hex'));
  mkdirSync(path);
  return path;
}

function start(t: Test, script: string, options: RunOptions = {}, inputs: RunInputs = {}) {
  const uuid = randomUUID();
  const sink = new CollectingSink();
  const running = runner.start({ uuid, script, options, inputs, secretEnv: {} }, sink);
  t.teardown(() => running.kill());
  return { running, sink, uuid };
}

/** Folders that are looked after without a runner. @returns them and the folder that they are in. */
async function foldersWith(t: Test, options: Partial<WorkFoldersOptions> = {}) {
  const root = options.root ?? temporaryFolder(t);
  chmodSync(root, 0o711);
  const env = { PATH: process.env.PATH as string };
  const spawner = await createSpawner(options.account);
  return { work: new WorkFolders({ root, spawner, bash: '/bin/bash', env, flock, sweepMs: 100, ...options }), root };
}

/** Waits until left folders have been looked for, twice. */
async function sweeps(root: string) {
  for (let i = 0; i < 2; i++) {
    const left = abandonedIn(root);
    await until('what was left is gone', () => !existsSync(left));
  }
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
  // One that is just exec'ing shows no arguments.
  await until('it lives', () => processesWith(`sleep\0${seconds}`).length === 1);
  t.same(folders(), [uuid]);
});

for (const spawner of [await createSpawner(), spawnerByChildProcess]) {
  t.test(`what nobody works in any more is swept, by ${spawner.kind}`, async (t) => {
    const root = temporaryFolder(t);
    const [inUse, living, left, full] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
    const owner = abandonedIn(root);
    for (const uuid of [living, left, full]) mkdirSync(join(owner, uuid));
    for (const folder of [root, owner]) mkdirSync(join(folder, 'of somebody else'));
    writeFileSync(join(owner, full, 'file'), '');
    // Who opens it waits for a writer.
    t.equal(spawnSync('mkfifo', [join(root, '00000000')]).status, 0);
    const env = { PATH: process.env.PATH as string, SHELLVISOR_COMMAND_UUID: living };
    const holder = await spawner.spawn('/bin/sleep', ['1000'], { cwd: '/', env });
    const { work } = await foldersWith(t, { root, spawner });
    const path = work.make(inUse);
    await until('what was left is gone', () => !existsSync(join(owner, left)) && !existsSync(join(owner, full)));
    t.same(readdirSync(owner).sort(), [living, 'of somebody else'].sort());
    process.kill(holder.pid, 'SIGKILL');
    await holder.exited;
    await until('that of who has died is gone', () => !existsSync(join(owner, living)));
    holder.reap();
    for (const end of [holder.stdout, holder.stderr]) end.destroy();
    holder.side.close();
    t.ok(existsSync(path), 'that of a command that runs stays, however long');
    work.release(inUse, true);
    await until('it is gone too', () => !existsSync(path));
    rmdirSync(join(owner, 'of somebody else'));
    await until('so is the folder of the owner, once it is empty', () => !existsSync(owner));
    t.ok(existsSync(join(root, 'of somebody else')));
  });
}

// Root needs another user for it: to root nothing is closed.
const account = process.getuid?.() === 0 ? findAccount('daemon') : undefined;
t.test('folders that a script has closed to itself go, however deep they lie in each other', async (t) => {
  const { work } = await foldersWith(t, { account });
  const uuid = randomUUID();
  const cwd = work.make(uuid);
  const script = 'mkdir -p a/b/c d/e; touch a/b/c/file d/e/file; chmod 0 a/b/c a/b a; chmod 500 d/e d';
  const ids = account === undefined ? {} : { uid: account.uid, gid: account.gid };
  t.equal(spawnSync('/bin/bash', ['-c', script], { cwd, ...ids }).status, 0);
  work.release(uuid, true);
  await until('it is gone', () => !existsSync(cwd));
});

t.test('a process that empties folders and is stopped holds up the others for a while only', async (t) => {
  const programs = temporaryFolder(t);
  const find = `#!/bin/bash\n[[ -e $0.stopped ]] || { : >"$0.stopped"; kill -STOP $$; }\nexec /usr/bin/find "$@"`;
  writeFileSync(join(programs, 'find'), find, { mode: 0o755 });
  const { work } = await foldersWith(t, { env: { PATH: `${programs}:${process.env.PATH}` }, emptyMs: 1000 });
  const [first, second] = [randomUUID(), randomUUID()];
  const paths = [first, second].map((uuid) => work.make(uuid)) as [string, string];
  for (const path of paths) writeFileSync(join(path, 'file'), '');
  work.release(first, true);
  await until('it is stopped', () => existsSync(join(programs, 'find.stopped')));
  work.release(second, true);
  await until('both are gone', () => !paths.some(existsSync));
  t.same(processesWith(paths[0]), [], 'what was stopped is gone too');
});

/** Mounts something for the time of a test. @returns whether we may. */
function mount(t: Test, ...args: string[]): boolean {
  t.teardown(() => spawnSync('umount', ['--lazy', args.at(-1) as string]));
  return spawnSync('mount', args).status === 0;
}

t.test('what a script has mounted is not touched, and its folder goes when that is unmounted', async (t) => {
  const victim = temporaryFolder(t);
  chmodSync(victim, 0o500);
  writeFileSync(join(victim, 'file'), 'stays');
  const warnings: string[] = [];
  const { work, root } = await foldersWith(t, { warn: (message) => warnings.push(message) });
  const mounts: Record<string, string[]> = {
    'a folder of the same file system': ['--bind', victim, 'a b/mnt'],
    'another file system': ['-t', 'tmpfs', '-o', 'mode=500', 'tmpfs', 'a b/mnt'],
    'something over the folder itself': ['--bind', victim, '.'],
  };
  for (const [what, args] of Object.entries(mounts)) {
    const uuid = randomUUID();
    const path = work.make(uuid);
    const point = join(path, args.at(-1) as string);
    mkdirSync(point, { recursive: true });
    if (!mount(t, ...args.slice(0, -1), point)) return t.comment('we may not mount here, and so may no script of ours');
    const mode = statSync(point).mode;
    const full = work.make(randomUUID());
    writeFileSync(join(full, 'file'), '');
    work.release(uuid, true);
    work.release(basename(full), true);
    await until('that of another is gone', () => !existsSync(full));
    await sweeps(root);
    t.equal(readFileSync(join(victim, 'file'), 'utf8'), 'stays', what);
    t.equal(statSync(point).mode, mode, `${what}: its mode`);
    t.same(
      warnings.splice(0),
      [`the working folder of a command stays until ${point}, which it has mounted, is unmounted`],
      'it is told once',
    );
    t.equal(spawnSync('umount', [point]).status, 0);
    await until('it is gone', () => !existsSync(path));
  }
});

t.test('where there are no locks owners leave each other their folders, and what is left of them', async (t) => {
  const { work, root } = await foldersWith(t, { flock: undefined, sweepMs: 2 ** 30 });
  const [running, ended] = [randomUUID(), randomUUID()];
  const [stays, goes] = [work.make(running), work.make(ended)];
  writeFileSync(join(goes, 'file'), '');
  work.release(ended, true);
  await until('that of a command that has ended goes', () => !existsSync(goes));
  await foldersWith(t, { root });
  await sweeps(root);
  t.ok(existsSync(stays));
});

t.test('owners that see nothing of each other leave each other their folders, and inherit them', async (t) => {
  const { work, root } = await foldersWith(t, { sweepMs: 2 ** 30 });
  const ours = work.make(randomUUID());
  // As in another container; without root only who may have namespaces of users can have one.
  const apart = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const prefix = [apart, [...apart, '--map-root-user'], []].find(
    ([file = 'true', ...args]) => spawnSync(file, [...args, 'true']).status === 0,
  );
  const program = [process.execPath, join(import.meta.dirname, '../helpers/work-folders-owner.ts'), root];
  const [file = '', ...args] = [...(prefix ?? []), ...program];
  const other = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(() => other.kill('SIGKILL'));
  const said = await new Promise((resolve) => other.stdout.once('data', resolve));
  const theirs = `${said}`.trim();
  writeFileSync(join(theirs, 'file'), '');
  await sweeps(root);
  t.ok(existsSync(ours), 'the other one looks, and leaves ours');
  for (const pid of processesWith(root)) process.kill(pid, 'SIGSTOP');
  await foldersWith(t, { root });
  await sweeps(root);
  t.ok(existsSync(theirs), 'we look, and leave theirs');
  other.kill('SIGKILL');
  await until('what they have left is gone', () => !existsSync(dirname(theirs)));
  t.ok(existsSync(ours));
});
