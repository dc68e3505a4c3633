import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createInProcessRunner } from '../../src/process/in-process.ts';
import { stop } from '../helpers/fakes.ts';
import { processesWith, uniqueSeconds } from '../helpers/processes.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { CollectingSink } from '../helpers/sink.ts';
import { until } from '../helpers/until.ts';

/** A runner in a folder of its own. */
async function runnerFor(
  t: Test,
  environment: Record<string, string> = { PATH: process.env.PATH ?? '' },
  cgroups = true,
) {
  const dataDir = temporaryFolder(t);
  const runner = await createInProcessRunner({ dataDir, environment, cgroups });
  const start = (script: string, sink = new CollectingSink()) => {
    const uuid = randomUUID();
    const process = runner.start({ uuid, script, options: {}, inputs: {}, secretEnv: {} }, sink);
    t.teardown(() => process.kill());
    return { process, sink, uuid };
  };
  /** Runs a script to its end. */
  const run = async (script: string) => {
    const { process, sink, uuid } = start(script);
    const { end, durationMs } = await process.ended;
    return { end, durationMs, sink, uuid, text: sink.text() };
  };
  return { runner, start, run, dataDir };
}

const exit0 = { kind: 'exited', exitCode: 0 };

t.test('both streams arrive, each chunk knowing its own', async (t) => {
  const { run } = await runnerFor(t);
  const { sink, end } = await run('echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three');
  t.same(end, exit0);
  t.same(
    sink.chunks.map(({ stream, bytes }) => [stream, Buffer.from(bytes).toString()]),
    [
      ['stdout', 'one\n'],
      ['stderr', 'two\n'],
      ['stdout', 'three\n'],
    ],
  );
});

t.test('a script behaves as a file that is given to bash', async (t) => {
  const { run, dataDir } = await runnerFor(t);
  t.match((await run('echo $0')).text, /\/scripts\/[0-9a-f-]{36}\.sh\n$/, '$0 is its file');
  t.same((await run('set -e\nfalse\necho never')).end, { kind: 'exited', exitCode: 1 }, 'set -e');
  t.equal((await run("cat <<'EOF'\nin a $heredoc\nEOF")).text, 'in a $heredoc\n');
  t.equal((await run('[[ a == a ]] && echo ${BASH_VERSION:+bash}; a=(1 2); echo ${#a[@]}')).text, 'bash\n2\n');
  t.equal((await run('echo "größe 🐚"')).text, 'größe 🐚\n');
  t.equal((await run('if [ "$1" = again ]; then echo again; else bash "$0" again; fi')).text, 'again\n');
  t.equal((await run('cat')).text, '', 'stdin is empty');
  const { text, uuid } = await run('pwd');
  const [owner = ''] = readdirSync(join(dataDir, 'work'));
  t.equal(text, `${join(dataDir, 'work', owner, uuid)}\n`);
  t.same((await run('exit 300')).end, { kind: 'exited', exitCode: 44 });
  t.same((await run('kill -SEGV $$')).end, { kind: 'signalled', signal: 'SIGSEGV' });
  t.match((await run('syntax error (')).text, /syntax error/);
});

t.test('Windows line ends mean what they mean to bash', async (t) => {
  const { run, dataDir } = await runnerFor(t);
  const script = 'echo a\r\nif true\r\nthen echo b\r\nfi\r\n';
  const file = join(dataDir, 'script.sh');
  writeFileSync(file, script);
  const { text } = await run(`bash ${file} 2>&1 | sed 's/^[^:]*://'`);
  const own = await run(script);
  t.equal(own.text.replaceAll(/^[^:\n]*:/gm, ''), text);
});

t.test('a script of 10 MiB runs', async (t) => {
  const { run } = await runnerFor(t);
  const line = `: ${'x'.repeat(1021)}\n`;
  const script = `${line.repeat(10 * 1024 - 1)}echo "the end of $(wc -c < "$0")"\n`;
  t.ok(script.length > 10 * 1024 * 1024 - 1100);
  t.equal((await run(script)).text, `the end of ${script.length}\n`);
});

t.test('the environment is clean: an allow-list, the own uuid, and where progress is told', async (t) => {
  const { run } = await runnerFor(t, {
    PATH: '/x/node_modules/.bin:/usr/bin:/bin',
    LANG: 'C.UTF-8',
    DATABASE_URL: 'postgresql://secret',
    NODE_OPTIONS: '--inspect',
    TAP_CHILD_ID: '1',
    SHELLVISOR_TOKEN: 'secret',
  });
  const { text, uuid } = await run('env -0 | sort -z | tr "\\0" "\\n" | grep -vE "^(PWD|SHLVL|_|HOME)="');
  t.same(text.trim().split('\n'), [
    'LANG=C.UTF-8',
    'PATH=/usr/bin:/bin',
    `SHELLVISOR_COMMAND_UUID=${uuid}`,
    'SHELLVISOR_PROGRESS_FD=3',
  ]);
});

t.test('bytes pass as they are: NUL, invalid UTF-8, long lines', async (t) => {
  const { run, dataDir } = await runnerFor(t);
  const bytes = Buffer.concat([randomBytes(1024 * 1024), Buffer.from('\0\xff\xfe', 'latin1')]);
  writeFileSync(join(dataDir, 'bytes'), bytes);
  const sha = (data: Buffer) => createHash('sha256').update(data).digest('hex');
  const { sink } = await run(`cat ${join(dataDir, 'bytes')}; cat ${join(dataDir, 'bytes')} >&2`);
  t.equal(sha(sink.bytes('stdout')), sha(bytes));
  t.equal(sha(sink.bytes('stderr')), sha(bytes));
});

t.test('a script that closes its streams runs on to its exit', async (t) => {
  const { run } = await runnerFor(t);
  const { end, durationMs } = await run('exec >&- 2>&-; sleep 0.3; exit 4');
  t.same(end, { kind: 'exited', exitCode: 4 });
  t.ok((durationMs ?? 0) >= 300);
});

t.test('a grandchild that holds the pipe does not hold up the end, and does not live on', async (t) => {
  const { run } = await runnerFor(t);
  const seconds = uniqueSeconds();
  const began = performance.now();
  const { end, text } = await run(`echo before; sleep ${seconds} & exit 0`);
  t.same(end, exit0);
  t.equal(text, 'before\n');
  t.ok(performance.now() - began < 20_000);
  t.same(processesWith(seconds), []);
});

t.test('a grandchild in a session of its own that holds the pipe is found as well', async (t) => {
  const { run } = await runnerFor(t);
  const seconds = uniqueSeconds();
  await run(`(setsid sleep ${seconds} &) ; exit 0`);
  t.same(processesWith(seconds), []);
});

t.test('what the last process of a pipe line prints after the exit of bash is kept', async (t) => {
  const { run } = await runnerFor(t);
  const { text } = await run('exec > >(sed s/^/tee:/; sleep 0.2; echo late)\necho a\n');
  t.equal(text, 'tee:a\nlate\n');
});

t.test('a terminated script may tidy up', async (t) => {
  const { start } = await runnerFor(t);
  const { process, sink } = start("trap 'echo tidy; exit 3' TERM; echo ready; while :; do sleep 0.01; done");
  await until('it is ready', () => sink.text().includes('ready'));
  process.terminate(stop, 60_000);
  t.same((await process.ended).end, { kind: 'exited', exitCode: 3 });
  t.equal(sink.text('stdout'), 'ready\ntidy\n');
});

t.test('the children of a terminated script have the whole grace too', async (t) => {
  const { start } = await runnerFor(t);
  // The trap is set before the first word, and whatever bash does when the signal comes, it runs the trap and exits.
  const child = "trap 'sleep 0.3; echo child tidied; exit' TERM; echo ready; while :; do sleep 0.01; done";
  const { process, sink } = start(`bash -c "${child.replaceAll('"', '\\"')}"`);
  await until('it is ready', () => sink.text().includes('ready'));
  process.terminate(stop, 60_000);
  t.same((await process.ended).end, { kind: 'signalled', signal: 'SIGTERM' });
  t.match(sink.text('stdout'), /child tidied/);
});

t.test('a terminated script that ignores SIGTERM lives until it is killed', async (t) => {
  const { start } = await runnerFor(t);
  const seconds = uniqueSeconds();
  const { process, sink } = start(`trap '' TERM; echo ready; sleep ${seconds}; sleep ${seconds}`);
  await until('it is ready', () => sink.text().includes('ready'));
  process.terminate(stop, 60_000);
  await until('it sleeps', () => processesWith(`sleep\0${seconds}`).length > 0);
  process.kill();
  t.same((await process.ended).end, { kind: 'signalled', signal: 'SIGKILL' });
  t.same(processesWith(seconds), []);
});

for (const [kind, way] of Object.entries({
  'a background job': 'sleep S &',
  'a daemon in its own session': '(setsid sleep S >/dev/null 2>&1 &)',
  'a nohup daemon that ignores signals': "(trap '' TERM HUP; setsid nohup sleep S >/dev/null 2>&1 &)",
  'a child with an empty environment': 'env -i sleep S &',
  'a script that execs with an empty environment': 'exec env -i sleep S',
})) {
  t.test(`after a kill nothing lives on of ${kind}`, async (t) => {
    const { start } = await runnerFor(t);
    const seconds = uniqueSeconds();
    const { process, sink } = start(`echo ready; ${way.replace('S', seconds)}\nsleep ${seconds}`);
    await until('it is ready', () => sink.text().includes('ready') && processesWith(`sleep\0${seconds}`).length > 0);
    process.terminate(stop, 60_000);
    process.kill();
    await process.ended;
    t.same(processesWith(seconds), []);
  });
}

t.test('a process stopped before it starts is never started', async (t) => {
  const { start } = await runnerFor(t);
  const { process, sink } = start('echo never');
  process.terminate(stop, 60_000);
  t.equal(await process.started, null);
  t.same(await process.ended, { end: { kind: 'not_started' }, durationMs: null });
  t.equal(sink.text(), '');
});

t.test('a sink without room pauses the script, and loses nothing', async (t) => {
  const { start, run } = await runnerFor(t);
  const sink = new CollectingSink();
  sink.hasRoom = false;
  const { process } = start('seq 1 200000; echo end >&2', sink);
  let ended = false;
  process.ended.then(() => {
    ended = true;
  });
  await until('the first chunk is there', () => sink.chunks.length > 0);
  await run('seq 1 200000; echo end >&2; sleep 0.1');
  t.notOk(ended, 'the same script with a free sink came to its end meanwhile, this one waits');
  t.ok(sink.bytes().length < 300_000);
  sink.hasRoom = true;
  sink.onDrain();
  await process.ended;
  t.equal(sink.text('stdout').trim().split('\n').length, 200_000);
  t.equal(sink.text('stderr'), 'end\n');
});

t.test('output that is still in the pipes when bash exits is read, however long the sink makes us wait', async (t) => {
  const { start, run } = await runnerFor(t);
  const sink = new CollectingSink();
  sink.hasRoom = false;
  // One line starts the pause, the rest fits into the pipe, so that bash exits while we don't read.
  const { process } = start('echo first; sleep 0.1; seq 1 5000', sink);
  let ended = false;
  process.ended.then(() => {
    ended = true;
  });
  await until('the first line is there', () => sink.chunks.length > 0);
  await run('sleep 2');
  t.notOk(ended, 'past the bound of the drain');
  sink.hasRoom = true;
  sink.onDrain();
  await process.ended;
  t.equal(sink.text(), `first\n${Array.from({ length: 5000 }, (_, i) => `${i + 1}\n`).join('')}`);
});

t.test('a script file is for its owner alone, and goes with the script', async (t) => {
  const { start, dataDir } = await runnerFor(t);
  const { process, sink, uuid } = start('echo ready; sleep 60');
  await until('it is ready', () => sink.text().includes('ready'));
  t.equal(statSync(join(dataDir, 'scripts', `${uuid}.sh`)).mode & 0o777, 0o600);
  t.equal(statSync(join(dataDir, 'work')).mode & 0o777, 0o700);
  process.kill();
  await process.ended;
  t.same(readdirSync(join(dataDir, 'scripts')), []);
});

t.test('what can not be started ends with the reason', async (t) => {
  const { start, dataDir } = await runnerFor(t);
  rmSync(join(dataDir, 'work'), { recursive: true });
  writeFileSync(join(dataDir, 'work'), 'in the way');
  const { process } = start('echo never');
  t.match(await process.ended, { end: { kind: 'spawn_error', message: /starting bash: EEXIST/ }, durationMs: null });
});

t.test('a script that removes its folders harms no other', async (t) => {
  const { run } = await runnerFor(t);
  t.same((await run('rm -rf "$PWD" "$(dirname "$0")"')).end, exit0);
  t.equal((await run('echo unharmed')).text, 'unharmed\n');
});

for (const [kind, holder] of Object.entries({ silent: 'sleep S', writing: 'sh -c "while :; do echo S; done"' })) {
  t.test(`a process outside of the tree that holds the pipe, ${kind}, does not hold up the end`, async (t) => {
    const { start } = await runnerFor(t);
    const seconds = uniqueSeconds();
    const first = start('echo first; sleep 0.5');
    await until('it prints', () => first.sink.text().includes('first'));
    const pid = await first.process.started;
    const second = start(`exec ${holder.replace('S', seconds)} > /proc/${pid}/fd/1`);
    t.same((await first.process.ended).end, exit0);
    second.process.kill();
    await second.process.ended;
  });
}

t.test('leftovers of an earlier server are killed with their trees', async (t) => {
  const { runner, start } = await runnerFor(t);
  const seconds = uniqueSeconds();
  const { process, sink, uuid } = start(`sleep ${seconds} & (setsid sleep ${seconds} &); echo ready; wait`);
  const other = start(`echo ready; sleep ${seconds}9`);
  await until('both run', () => sink.text().includes('ready') && other.sink.text().includes('ready'));
  t.ok((await runner.killLeftovers([uuid])) >= 3);
  t.same(processesWith(`sleep\0${seconds}\0`), []);
  await process.ended;
  t.equal(processesWith(`${seconds}9`).length, 1, 'other commands are left alone');
});
