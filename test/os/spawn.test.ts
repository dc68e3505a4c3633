import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { spawnerByChildProcess } from '../../src/os/child-process.ts';
import { type Child, createSpawner, type Spawner } from '../../src/os/spawn.ts';
import { until } from '../helpers/until.ts';

const env = { PATH: '/usr/bin:/bin', A: 'b' };
const bash = (spawner: Spawner, script: string, stdin?: number) =>
  spawner.spawn('/bin/bash', ['-c', script], { cwd: '/tmp', env, stdin }) as Promise<Child>;

async function run(spawner: Spawner, script: string, stdin?: number) {
  const child = await bash(spawner, script, stdin);
  const [stdout, stderr, status] = await Promise.all([text(child.stdout), text(child.stderr), child.exited]);
  const side = await sideOf(child);
  child.side.close();
  child.reap();
  return { stdout, stderr, side, status, pid: child.pid };
}

/** All that is in the side pipe now. */
async function sideOf({ side }: Child): Promise<string> {
  let all = '';
  for (;;) {
    await side.arrival();
    const bytes = side.read();
    if (bytes === null) return all;
    all += bytes.toString('latin1');
  }
}

t.test('the better spawner is used where it works', async (t) => {
  t.equal((await createSpawner()).kind, 'posix_spawn');
});

for (const spawner of [await createSpawner(), spawnerByChildProcess]) {
  t.test(`by ${spawner.kind}`, async (t) => {
    t.test('hundreds of children may be started at once', async (t) => {
      const ends = await Promise.all(Array.from({ length: 300 }, () => run(spawner, 'exit 7')));
      t.ok(ends.every(({ status }) => status.exitCode === 7));
    });

    t.test('a child prints to two streams and exits with a code', async (t) => {
      const { stdout, stderr, status } = await run(spawner, 'echo out; echo err >&2; exit 7');
      t.same([stdout, stderr, status], ['out\n', 'err\n', { exitCode: 7, signal: null }]);
    });

    t.test('a child that a signal ends is told apart from one that exits', async (t) => {
      const { status } = await run(spawner, 'kill -KILL $$');
      t.same(status, { exitCode: null, signal: 'SIGKILL' });
    });

    t.test('a child leads a session and a process group of its own', async (t) => {
      const { stdout, pid } = await run(spawner, 'cat /proc/$$/stat');
      const [, , group, session] = stdout.slice(stdout.lastIndexOf(')') + 2).split(' ');
      t.same([Number(group), Number(session)], [pid, pid]);
    });

    t.test(
      'a child gets the environment, the working folder and the stdin that it is given, nothing else',
      async (t) => {
        process.env.SHELLVISOR_TEST_SECRET = 'hush';
        t.teardown(() => delete process.env.SHELLVISOR_TEST_SECRET);
        const { stdout } = await run(spawner, 'pwd; echo "$A"; cat; readlink /proc/self/fd/0; env | grep -c SECRET');
        t.equal(stdout, '/tmp\nb\n/dev/null\n0\n');
      },
    );

    t.test('a child reads a descriptor as its stdin', async (t) => {
      const fd = openSync(new URL(import.meta.url), 'r');
      t.teardown(() => closeSync(fd));
      const { stdout } = await run(spawner, 'cat; echo x >&0 || echo read only', fd);
      t.equal(stdout, `${readFileSync(new URL(import.meta.url), 'utf8')}read only\n`);
    });

    t.test('a child reads all that it is handed, or none of it', async (t) => {
      const handed = Buffer.from('x'.repeat(1_000_000));
      const hand = (script: string) =>
        run({ ...spawner, spawn: (file, args, options) => spawner.spawn(file, args, { ...options, handed }) }, script);
      t.equal((await hand('wc -c <&4')).stdout, '1000000\n');
      t.match(
        (await run(spawner, ': <&4')).stderr,
        /Bad file descriptor/,
        'who is handed nothing has no such descriptor',
      );
      t.equal((await hand('exit 7')).status.exitCode, 7);
    });

    t.test('what it writes to descriptor 3 is there for whoever looks, and never waited for', async (t) => {
      const child = await bash(
        spawner,
        'stop() { kill -STOP $$; }; stop; echo one >&3; stop; echo two >&3; exec 3>&-; stop',
      );
      const untilStopped = () =>
        until('it has stopped', () => /\) T /.test(readFileSync(`/proc/${child.pid}/stat`, 'latin1')));
      for (const said of ['', 'one\n', 'two\n']) {
        await untilStopped();
        t.equal(await sideOf(child), said);
        t.equal(await sideOf(child), '', 'once');
        process.kill(child.pid, 'SIGCONT');
      }
      t.match(await child.exited, { exitCode: 0 });
      t.equal(await sideOf(child), '', 'an end that is closed is nothing');
      for (const pipe of [child.stdout, child.stderr]) pipe.destroy();
      child.side.close();
      child.reap();
    });

    t.test('what it wrote there before its exit is read then, though another process holds the pipe', async (t) => {
      // As much as it can have written without anybody looking: a pipe holds 64 KiB, and Node reads ahead as much.
      const count = spawner.kind === 'posix_spawn' ? 12_000 : 20_000;
      const numbers = Array.from({ length: count }, (_, i) => `${i + 1}\n`).join('');
      const child = await bash(spawner, `sleep 1000 </dev/null >/dev/null 2>&1 & echo $!; seq 1 ${count} >&3`);
      const holder = Number(await text(child.stdout));
      await child.exited;
      t.equal(await sideOf(child), numbers);
      process.kill(holder, 'SIGKILL');
      child.side.close();
      child.reap();
    });

    t.test('all signals are back at their default, none is blocked', async (t) => {
      const { stdout } = await run(spawner, 'grep -E "SigBlk|SigIgn" /proc/self/status');
      t.same(stdout.match(/[0-9a-f]{16}/g), ['0'.repeat(16), '0'.repeat(16)]);
    });

    t.test('no child can gain privileges, however many are started at once', async (t) => {
      t.ok(spawner.deniesPrivileges);
      const runs = await Promise.all(
        Array.from({ length: 64 }, () => run(spawner, 'grep NoNewPrivs /proc/self/status')),
      );
      t.same(new Set(runs.map(({ stdout }) => stdout)), new Set(['NoNewPrivs:\t1\n']));
    });

    t.test('what can not be started is an error that says why', async (t) => {
      await t.rejects(spawner.spawn('/nonexistent/bash', [], { cwd: '/tmp', env }), /ENOENT/);
      await t.rejects(spawner.spawn('/bin/bash', [], { cwd: '/nonexistent', env }), /ENOENT/);
    });
  });
}

t.test('a script can write to /dev/stdout, because it has pipes', async (t) => {
  const { stdout, stderr } = await run(await createSpawner(), 'echo a > /dev/stdout; echo b >&2 > /dev/stderr; echo c');
  t.same([stdout, stderr], ['a\nc\n', 'b\n']);
});

t.test('a child inherits no descriptor besides its three streams and the side pipe', async (t) => {
  const { stdout } = await run(await createSpawner(), 'exec ls /proc/self/fd');
  t.equal(stdout, '0\n1\n2\n3\n4\n', '4 is the folder that ls reads');
});

t.test('a child that ended keeps its process id until it is reaped', async (t) => {
  const child = await bash(await createSpawner(), 'exit 0');
  await child.exited;
  t.match(readFileSync(`/proc/${child.pid}/stat`, 'utf8'), /\) Z /);
  child.reap();
  t.throws(() => readFileSync(`/proc/${child.pid}/stat`), { code: 'ENOENT' });
  child.stdout.destroy();
  child.stderr.destroy();
  child.side.close();
});

t.test('two hundred children at once all come to their end, and no descriptor stays open', async (t) => {
  const spawner = await createSpawner();
  const open = () => readdirSync('/proc/self/fd').length;
  const before = open();
  const results = await Promise.all(Array.from({ length: 200 }, (_, i) => run(spawner, `exit ${i % 50}`)));
  t.same(
    results.map(({ status }) => status.exitCode),
    results.map((_, i) => i % 50),
  );
  await until('all pipes are closed', () => open() <= before);
});
