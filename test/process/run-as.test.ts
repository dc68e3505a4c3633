import { randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { RunInputs, RunOptions } from '../../src/command.ts';
import { StartupError } from '../../src/errors.ts';
import { createInProcessRunner } from '../../src/process/in-process.ts';
import { findAccount } from '../../src/scripts/account.ts';
import { stop } from '../helpers/fakes.ts';
import { isAlive, processesWith, uniqueSeconds } from '../helpers/processes.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { CollectingSink } from '../helpers/sink.ts';
import { until } from '../helpers/until.ts';

const isRoot = process.getuid?.() === 0;

/** A folder that others may pass through. */
function openFolder(t: Test): string {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o711);
  return folder;
}

/** Scripts of the user `daemon`. */
async function runnerFor(t: Test, { cgroups = true, maxProcesses }: { cgroups?: boolean; maxProcesses?: number } = {}) {
  const dataDir = openFolder(t);
  const environment = { PATH: process.env.PATH, HOME: '/root', USER: 'root', LOGNAME: 'root', SHELL: '/bin/zsh' };
  const account = findAccount('daemon');
  const runner = await createInProcessRunner({ dataDir, environment, cgroups, account, maxProcesses });
  const start = (script: string, inputs: RunInputs = {}, options: RunOptions = {}) => {
    const uuid = randomUUID();
    const sink = new CollectingSink();
    const running = runner.start({ uuid, script, options, inputs, secretEnv: {} }, sink);
    t.teardown(() => running.kill());
    return { running, sink, uuid };
  };
  const run = async (...args: Parameters<typeof start>) => {
    const { running, sink, uuid } = start(...args);
    const { end } = await running.ended;
    return { end, text: sink.text(), sink, uuid };
  };
  return { runner, start, run, dataDir };
}

if (!isRoot) {
  t.test('who is not root can not run scripts as another user, and is told so', async (t) => {
    const why =
      /^SHELLVISOR_RUN_AS=daemon is not possible: only a server that runs as root can run scripts as another user$/;
    t.throws(() => findAccount('daemon'), { message: why, constructor: StartupError });
  });
} else {
  t.test('a user is found by name or number, with its group or another one', async (t) => {
    t.match(findAccount('daemon'), { name: 'daemon', uid: 1, gid: 1, home: '/usr/sbin', shell: '/usr/sbin/nologin' });
    t.match(findAccount('1:bin'), { name: 'daemon', uid: 1, gid: 2 });
    t.same(findAccount('54321:12345'), { name: '54321', uid: 54321, gid: 12345, home: '/', shell: '/bin/sh' });
    for (const [spec, why] of [
      ['nobody-of-this-name', 'there is no user nobody-of-this-name'],
      ['daemon:no-such-group', 'there is no group no-such-group'],
      ['54321', 'user 54321 has no group here; name one behind a colon'],
      ['4294967295:1', 'there is no user 4294967295'],
      ['root', 'this is root; name a user who may do less'],
      ['0:1', 'this is root; name a user who may do less'],
    ]) {
      const message = `SHELLVISOR_RUN_AS=${spec} is not possible: ${why}`;
      t.throws(() => findAccount(`${spec}`), { message, constructor: StartupError }, `${spec}`);
    }
  });

  t.test('a data folder that this user can not reach keeps the server from starting', async (t) => {
    const dataDir = join(temporaryFolder(t), 'data');
    const account = findAccount('daemon');
    const why =
      /^daemon, the user of SHELLVISOR_RUN_AS, can't reach .*prologue-\w+\.bash; set DATA_DIR to a folder that others/;
    await t.rejects(createInProcessRunner({ dataDir, environment: {}, cgroups: true, account }), {
      message: why,
      constructor: StartupError,
    });
  });

  for (const cgroups of [true, false]) {
    t.test(`scripts of another user, ${cgroups ? 'with' : 'without'} control groups`, async (t) => {
      const { runner, run, start, dataDir } = await runnerFor(t, { cgroups });
      t.match(runner, { description: "child_process as daemon in the server's own process", warnings: [] });

      t.test('they are this user and have nothing of root', async (t) => {
        const script = `
          id; echo "$HOME $USER $LOGNAME $SHELL"; grep -E "NoNewPrivs|Cap(Inh|Prm|Eff|Amb)" /proc/self/status
          ls /proc/self/fd; env -0 | sort -z | cut -z -d = -f 1 | grep -zvE "^(NODE_OPTIONS|_TAPJS.*)$" | tr "\\0" " "`;
        const { text } = await run(script);
        const none = '0000000000000000';
        t.equal(
          text.replaceAll('\t', ' '),
          `uid=1(daemon) gid=1(daemon) groups=1(daemon)\n/usr/sbin daemon daemon /usr/sbin/nologin\n` +
            `CapInh: ${none}\nCapPrm: ${none}\nCapEff: ${none}\nCapAmb: ${none}\nNoNewPrivs: 1\n0\n1\n2\n3\n4\n` +
            'HOME LOGNAME PATH PWD SHELL SHELLVISOR_COMMAND_UUID SHELLVISOR_PROGRESS_FD SHLVL USER _ ',
        );
      });

      t.test(
        'they work in a folder of their own, read their script and their stdin, and write to their streams',
        async (t) => {
          const script = `
          pwd; stat -c "%U %a" . "$0"; touch file && cat file; cat </dev/stdin; cat "$0" | wc -c
          echo out >/dev/stdout; echo err >/dev/stderr; echo "$1 $GIVEN"; echo 50 >/dev/fd/3; exit 7`;
          const { sink, end, uuid } = await run(script, {
            stdin: Buffer.from('input\n'),
            args: ['one'],
            env: { GIVEN: 'two' },
          });
          const [owner = ''] = readdirSync(join(dataDir, 'work'));
          const folder = join(dataDir, 'work', owner, uuid);
          t.equal(sink.text('stdout'), `${folder}\ndaemon 700\ndaemon 600\ninput\n${script.length}\nout\none two\n`);
          t.equal(sink.text('stderr'), 'err\n');
          t.same(end, { kind: 'exited', exitCode: 7 });
          await until('the folder is gone, with what is in it', () => !existsSync(folder));
          t.same(readdirSync(join(dataDir, 'scripts')), []);
        },
      );

      t.test('they can not look around in our folders, nor change anything there', async (t) => {
        writeFileSync(join(dataDir, 'secret'), 'hush', { mode: 0o600 });
        const work = join('work', `${readdirSync(join(dataDir, 'work'))[0]}`);
        const prologue = readdirSync(dataDir).find((name) => name.startsWith('prologue')) as string;
        const script = `
          cd "${dataDir}"; ls; ls scripts; ls work; ls ${work}; cat secret; echo x >${prologue}; rm -f ${prologue}; rm -f "$0"; mv work other
          touch file; cat /proc/${process.pid}/environ; ls /proc/${process.pid}/fd; kill ${process.pid}`;
        const { text } = await run(`{ ${script}; } 2>&1 | grep -cE "denied|permitted"`);
        t.equal(text, '13\n');
        t.match(readFileSync(join(dataDir, prologue), 'utf8'), 'BASH_ENV');
        for (const name of ['scripts', 'work', work]) t.equal(statSync(join(dataDir, name)).mode & 0o777, 0o711);
      });

      t.test('a folder is judged as this user sees it', async (t) => {
        const closed = join(openFolder(t), 'closed');
        const below = join(closed, 'below');
        mkdirSync(below, { recursive: true });
        chmodSync(closed, 0o700);
        const file = join(closed, 'file');
        writeFileSync(file, '');
        chmodSync(file, 0o755);
        const missing = join(closed, 'missing');
        // What is in a closed folder is not told by how it is refused either.
        for (const path of [below, missing, file, join(file, 'below'), '/etc/passwd', '/bin/sh', '/no/such']) {
          const why = `cwd is no folder that the user that scripts run as may enter: ${path}`;
          t.equal(await runner.refuseFolder(path), why);
        }
        t.equal(await runner.refuseFolder('/tmp'), null);
        const { end, text } = await run('echo never', { cwd: below });
        t.same(end, { kind: 'exited', exitCode: 126 });
        t.match(text, /cd: .*below: Permission denied\n$/);
        for (const cwd of [missing, file]) {
          const refused = await run('echo never', { cwd });
          t.same(refused.end, { kind: 'exited', exitCode: 126 });
          t.match(refused.text, /cd: .*: Permission denied\n$/);
        }
        t.equal((await run('pwd; echo "[$OLDPWD]"', { cwd: '/tmp' })).text, '/tmp\n[]\n');
      });

      t.test('whatever gets away from them is killed all the same, and leaves no zombie', async (t) => {
        const seconds = uniqueSeconds();
        const trail = join(openFolder(t), 'trail');
        writeFileSync(trail, '');
        chmodSync(trail, 0o666);
        const { running } = start(`
          (env -i setsid sleep ${seconds} &) ; (trap '' TERM HUP; setsid nohup sleep ${seconds} >/dev/null 2>&1 &)
          env -i setsid bash -c "w() { echo \\$BASHPID >>${trail}; w & }; w" & sleep ${seconds}`);
        await until(
          'they have got away',
          () => statSync(trail).size > 100 && processesWith(`sleep\0${seconds}`).length > 2,
        );
        running.terminate(stop, 60_000);
        running.kill();
        t.match((await running.ended).end, { kind: 'signalled' });
        t.same([...processesWith(seconds), ...processesWith(trail)], []);
        t.notOk(isAlive(Number(readFileSync(trail, 'utf8').trim().split('\n').at(-1))));
      });

      t.test('a hundred at once each come to their end', async (t) => {
        const ends = await Promise.all(Array.from({ length: 100 }, (_, i) => run(`echo ${i}; exit ${i}`)));
        t.same(
          ends.map(({ end, text }) => [end, text]),
          ends.map((_, i) => [{ kind: 'exited', exitCode: i }, `${i}\n`]),
        );
        const work = join(dataDir, 'work', `${readdirSync(join(dataDir, 'work'))[0]}`);
        await until('their folders are gone', () => readdirSync(work).length === 0);
      });
    });
  }

  t.test('what they may start is limited for this user', async (t) => {
    const { runner, run } = await runnerFor(t, { cgroups: false, maxProcesses: 60 });
    t.same(runner.unsupported, {});
    t.equal((await run('ulimit -u')).text, '60\n');
    t.equal((await run('ulimit -u', {}, { maxProcesses: 50 })).text, '50\n');
  });
}
