import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { RunInputs, RunOptions } from '../../src/command.ts';
import { StartupError } from '../../src/errors.ts';
import { createInProcessRunner } from '../../src/process/in-process.ts';
import { findAccount } from '../../src/scripts/account.ts';
import { stop } from '../helpers/fakes.ts';
import { processesWith, uniqueSeconds } from '../helpers/processes.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { CollectingSink } from '../helpers/sink.ts';
import { until } from '../helpers/until.ts';

const isRoot = process.getuid?.() === 0;

async function runnerFor(t: Test, options: Partial<Parameters<typeof createInProcessRunner>[0]> = {}) {
  const dataDir = temporaryFolder(t);
  chmodSync(dataDir, 0o711);
  const environment = { PATH: process.env.PATH, TMPDIR: '/var/tmp' };
  const runner = await createInProcessRunner({ dataDir, environment, cgroups: true, ...options });
  const start = (script: string, options: RunOptions = {}, inputs: RunInputs = {}) => {
    const uuid = randomUUID();
    const sink = new CollectingSink();
    const running = runner.start({ uuid, script, options, inputs, secretEnv: {} }, sink);
    t.teardown(() => running.kill());
    return { running, sink, uuid };
  };
  const run = async (script: string, options: RunOptions = { sandbox: { network: false } }, inputs: RunInputs = {}) => {
    const { running, sink, uuid } = start(script, options, inputs);
    const { end } = await running.ended;
    return { end, text: sink.text(), sink, uuid };
  };
  return { runner, start, run, dataDir };
}

// Before all tests: between them nothing may be waited for, since the file would end when none runs.
const account = isRoot ? findAccount('daemon') : undefined;
const { runner: probed } = await runnerFor(t, { account });
if (probed.unsupported.sandbox !== undefined) t.comment(probed.unsupported.sandbox);
const isPossible = probed.unsupported.sandbox === undefined;

t.test('where there is no bubblewrap a sandbox is refused with the reason, and never left out', async (t) => {
  const environment = { PATH: '/nonexistent' };
  const { runner, run } = await runnerFor(t, { environment });
  const why = 'sandbox is not possible here: there is no bubblewrap, no program bwrap in PATH';
  t.equal(runner.unsupported.sandbox, why);
  const { end, text } = await run('echo never');
  t.same([end, text], [{ kind: 'spawn_error', message: `starting bash: ${why}` }, '']);
  await t.rejects(
    createInProcessRunner({ dataDir: temporaryFolder(t), environment, cgroups: true, sandboxAlways: true }),
    {
      message: `SHELLVISOR_SANDBOX=always can't be kept: ${why}`,
      constructor: StartupError,
    },
  );
});

t.test('where bubblewrap does not work its own words are the reason', async (t) => {
  const bin = temporaryFolder(t);
  writeFileSync(join(bin, 'bwrap'), '#!/bin/sh\necho "bwrap: no way" >&2; exit 1\n', { mode: 0o755 });
  const { runner } = await runnerFor(t, { environment: { PATH: `${bin}:${process.env.PATH}` } });
  t.equal(
    runner.unsupported.sandbox,
    'sandbox is not possible here: bubblewrap does not work on this machine: bwrap: no way',
  );
});

if (isRoot && isPossible) {
  t.test('root gets no sandbox, which would not keep it from the files and devices of the machine', async (t) => {
    const { runner, run } = await runnerFor(t);
    const why = /^sandbox is not possible here: the server runs as root, .* set SHELLVISOR_RUN_AS to another user$/;
    t.match(runner.unsupported.sandbox, why);
    const { end, text } = await run('echo never');
    t.match(end, { kind: 'spawn_error', message: /sandbox is not possible here/ });
    t.equal(text, '');
    const options = { dataDir: temporaryFolder(t), environment: process.env, cgroups: true, sandboxAlways: true };
    await t.rejects(createInProcessRunner(options), {
      constructor: StartupError,
      message: /SHELLVISOR_SANDBOX=always can't/,
    });
  });
}

if (isPossible) {
  t.test(`a sandbox of ${account?.name ?? 'our own user'}`, async (t) => {
    const { runner, run, start, dataDir } = await runnerFor(t, { account });
    t.equal(runner.unsupported.sandbox, undefined);

    t.test('the script has what it was given, and ends as it does', async (t) => {
      const script = `
        pwd; echo "$0 $# $1 $GIVEN $TMPDIR"; cat; touch file; cat file; ls /proc/self/fd; echo 42 >&$SHELLVISOR_PROGRESS_FD
        env | grep -cE "BASH_ENV|SHELLVISOR_(MARK|CGROUP|CWD|OPEN)"; echo out >/dev/stdout; echo err >&2; exit 7`;
      const inputs = { env: { GIVEN: 'given' }, args: ['one'], stdin: Buffer.from('input\n') };
      const { end, sink, uuid } = await run(script, { sandbox: { network: false }, nice: 3 }, inputs);
      const [owner = ''] = readdirSync(join(dataDir, 'work'));
      const folder = join(dataDir, 'work', owner, uuid);
      t.equal(
        sink.text('stdout'),
        `${folder}\n${join(dataDir, 'scripts', uuid)}.sh 1 one given /tmp\ninput\n0\n1\n2\n3\n4\n0\nout\n`,
      );
      t.equal(sink.text('stderr'), 'err\n');
      t.same(end, { kind: 'exited', exitCode: 7 });
      t.same((await run('kill -SEGV $$')).end, { kind: 'exited', exitCode: 128 + 11 });
      await until('its folder is gone', () => !existsSync(folder));
    });

    t.test('what a client gives it for its environment is there in the sandbox alone', async (t) => {
      const many = Object.fromEntries(Array.from({ length: 999 }, (_, i) => [`GIVEN_${i}`, `${i}`]));
      const env = { ...many, GIVEN_EMPTY: '', LC_ALL: 'given', GCONV_PATH: '/x' };
      const seconds = uniqueSeconds();
      const { running, sink, uuid } = start(
        `env | grep -c ^GIVEN_; echo "\${GIVEN_EMPTY-missing}$LC_ALL$GCONV_PATH"; sleep ${seconds}`,
        { sandbox: { network: false } },
        { env },
      );
      const sleepers = () => processesWith(`sleep\0${seconds}`);
      // What it has printed may still be on its way when it sleeps.
      await until('it has printed and sleeps', () => sink.text('stdout').endsWith('given\n') && sleepers().length > 0);
      t.equal(sink.text('stdout'), '1000\ngiven\n');
      // bash first, now bwrap.
      const outer = await running.started;
      t.equal(readFileSync(`/proc/${outer}/comm`, 'latin1'), 'bwrap\n');
      for (const file of ['environ', 'cmdline']) {
        const text = readFileSync(`/proc/${outer}/${file}`, 'latin1');
        t.match(text, uuid);
        t.notMatch(text, /GIVEN_\d|LC_ALL=given/);
      }
      running.kill();
      await running.ended;
    });

    t.test('it writes its folder and a /tmp of its own, and nothing else', async (t) => {
      const other = temporaryFolder(t);
      const script = `
        touch mine /tmp/mine /dev/shm/mine && echo "writes its own"; ls -A /run; ls -A ${other}
        for folder in / /dev /run /usr /etc /var/tmp /root /sys/fs/cgroup /proc/sys ${dataDir} ${dataDir}/work ${dataDir}/scripts; do
          touch $folder/x 2>/dev/null && echo "writes $folder"
        done; echo x >>"$0" && echo "writes its script"; exit 0`;
      t.equal((await run(`{ ${script}; } 2>/dev/null`)).text, 'writes its own\n');
      t.same(readdirSync(other), []);
    });

    t.test('what it can put into memory by writing files has a bound', async (t) => {
      const mebibyte = 1024 * 1024;
      const { text } = await run('df --block-size=1 --output=size /tmp /dev/shm | tail -n 2 | tr -d " "');
      t.equal(text, `${256 * mebibyte}\n${64 * mebibyte}\n`);
      const fill = `head -c ${40 * mebibyte} /dev/zero >/tmp/file; stat -c %s /tmp/file`;
      const { sink } = await run(fill, { sandbox: { network: false }, maxMemoryBytes: 32 * mebibyte });
      t.ok(Number(sink.text('stdout')) <= 32 * mebibyte);
      t.match(sink.text('stderr'), /No space left/);
    });

    t.test('it sees neither what the server keeps nor other commands nor other processes', async (t) => {
      writeFileSync(join(dataDir, 'secret'), 'hush');
      const seconds = uniqueSeconds();
      const fellow = start(`sleep ${seconds}`);
      await until('the other one runs', () => processesWith(`sleep\0${seconds}`).length > 0);
      const { text, uuid } = await run(
        `cd ${dataDir}; find . | sort; grep -la ${seconds} /proc/[0-9]*/cmdline; ls -d /proc/[0-9]* | wc -l; grep CapBnd /proc/self/status`,
      );
      const [processes, capabilities] = text.trim().split('\n').slice(-2);
      const work = `./work/${readdirSync(join(dataDir, 'work'))[0]}`;
      t.equal(text.split(/^\d+$/m)[0], `.\n./scripts\n./scripts/${uuid}.sh\n./work\n${work}\n${work}/${uuid}\n`);
      t.ok(Number(processes) < 10);
      t.equal(capabilities, 'CapBnd:\t0000000000000000');
      fellow.running.kill();
      await fellow.running.ended;
    });

    t.test('the folder of the socket of the server is empty, even when that is made later', async (t) => {
      const folder = mkdtempSync('/var/tmp/shellvisor-test-');
      t.teardown(() => rmSync(folder, { recursive: true, force: true }));
      chmodSync(folder, 0o755);
      writeFileSync(join(folder, 'file'), '');
      const socket = join(folder, 'socket');
      const { runner, start, run, dataDir } = await runnerFor(t, { account, socket });
      t.equal(runner.unsupported.sandbox, undefined);
      const look = `ls -A ${folder}; [[ -e ${socket} ]] && echo there`;
      const script = `${look}; touch ${folder}/mine 2>/dev/null || echo closed; until [[ -e go-on ]]; do sleep 0.01; done; ${look}`;
      const { running, sink, uuid } = start(script, { sandbox: { network: false } });
      await until('it has looked', () => sink.text().includes('closed'));
      const server = createServer().listen(socket);
      await until('it listens', () => server.listening);
      t.teardown(() => server.close());
      const [owner = ''] = readdirSync(join(dataDir, 'work'));
      writeFileSync(join(dataDir, 'work', owner, uuid, 'go-on'), '');
      await running.ended;
      t.equal(sink.text(), 'closed\n');
      t.match((await run('pwd', undefined, { cwd: folder })).end, { message: /cwd is not there in the sandbox/ });
      const inRoot = await runnerFor(t, { account, socket: '/shellvisor.sock' });
      t.match(inRoot.runner.unsupported.sandbox, /the socket of the server is in \/, which can not be hidden/);
    });

    t.test('it reaches the network only if it asks for that', async (t) => {
      const server = createServer((_, response) => response.end('reached')).listen(0, '127.0.0.1');
      await until('it listens', () => server.listening);
      t.teardown(() => server.close());
      const { port } = server.address() as AddressInfo;
      const script = `exec 9<>/dev/tcp/127.0.0.1/${port} && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&9 && tail -n 1 <&9`;
      t.match((await run(script)).text, /refused/);
      t.equal((await run(script, { sandbox: { network: true } })).text, 'reached');
    });

    t.test('a stop gives it time to tidy up, and a kill leaves nothing', async (t) => {
      const gentle = start(`trap 'echo tidied; exit 5' TERM; echo ready; while :; do sleep 0.05; done`, {
        sandbox: { network: false },
      });
      await until('it is ready', () => gentle.sink.text().includes('ready'));
      gentle.running.terminate(stop, 60_000);
      t.same((await gentle.running.ended).end, { kind: 'exited', exitCode: 5 });
      t.match(gentle.sink.text(), /tidied/);

      const seconds = uniqueSeconds();
      const stubborn = start(
        `trap '' TERM; (setsid env -i sleep ${seconds} &); echo ready; sleep ${seconds}; sleep ${seconds}`,
        {
          sandbox: { network: false },
        },
      );
      await until('it sleeps', () => processesWith(`sleep\0${seconds}`).length >= 2);
      stubborn.running.terminate(stop, 60_000);
      stubborn.running.kill();
      await stubborn.running.ended;
      t.same(processesWith(seconds), []);
    });

    t.test('what it leaves in the background is killed, but the last lines of its output arrive', async (t) => {
      const seconds = uniqueSeconds();
      const { text } = await run(
        `exec > >(sed s/^/tee:/; sleep 0.2; echo late)\n(setsid sleep ${seconds} >&- 2>&- &); echo a`,
      );
      t.equal(text, 'tee:a\nlate\n');
      t.same(processesWith(seconds), []);
    });

    t.test('a folder that a client names is there to be read, unless it is hidden', async (t) => {
      t.match((await run('pwd; touch x', undefined, { cwd: '/usr' })).text, /^\/usr\n.*Read-only|^\/usr\n.*denied/);
      const hidden = join(dataDir, 'hidden');
      mkdirSync(hidden);
      chmodSync(hidden, 0o755);
      t.same((await run('pwd', undefined, { cwd: hidden })).end, {
        kind: 'spawn_error',
        message: `starting bash: cwd is not there in the sandbox: ${hidden}`,
      });
    });
  });

  t.test('if the server wants it so each command runs in one', async (t) => {
    const { run } = await runnerFor(t, { account, sandboxAlways: true });
    t.ok(Number((await run('echo $$', {})).text) < 10);
  });
}
