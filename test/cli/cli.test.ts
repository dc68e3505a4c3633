import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { callCli } from '../helpers/cli.ts';
import { createDatabase } from '../helpers/cluster.ts';
import { COMMANDS, ended } from '../helpers/faults.ts';
import { processesWith, uniqueSeconds } from '../helpers/processes.ts';
import { freePort, serverPid, startServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const server = await startServer(t, {
  PORT: `${await freePort()}`,
  DATABASE_URL: await createDatabase(t),
  SHELLVISOR_STOP_GRACE_MS: '60000',
});
const folder = temporaryFolder(t);
const environment = { SHELLVISOR_URL: server.url };
const start = (args: string[], more: Record<string, string> = {}) => callCli(t, args, { ...environment, ...more });
const call = (args: string[], more?: Record<string, string>) => start(args, more).ended;

/** The only command with this description. */
const described = async (description: string) => {
  const { body } = await server.request('GET', `${COMMANDS}?limit=1000`);
  return body.find((command: { description: string }) => command.description === description);
};

t.test('run prints to the streams of its script, and ends with its exit code', async (t) => {
  t.match(await call(['run', 'echo out; echo err >&2; exit 7']), { code: 7, stdout: 'out\n', stderr: 'err\n' });
  t.match(await call(['run', 'printf "\\0\\377"']), { code: 0, stdout: '\0\ufffd', stderr: '' });
});

t.test('run takes its script from an argument, from a file or from stdin, with arguments behind it', async (t) => {
  const file = join(folder, 'script.sh');
  writeFileSync(file, 'echo "file: $*"');
  t.match(await call(['run', 'echo "inline: $*"', '--not-ours', 'b']), { code: 0, stdout: 'inline: --not-ours b\n' });
  t.match(await call(['run', '-f', file, 'a', 'b']), { code: 0, stdout: 'file: a b\n' });
  t.match(await call(['run', '-', 'a'], { stdin: 'echo "stdin: $*"' }), { code: 0, stdout: 'stdin: a\n' });
  t.match(await call(['run'], { stdin: 'echo alone' }), { code: 0, stdout: 'alone\n' });
});

t.test('run hands over variables, a folder, stdin and labels', async (t) => {
  const args = ['run', '-e', 'A=1', '-e', 'B=x=y', '-C', folder, '-i', '-', '-l', 'team=a/b', '-d', 'inputs'];
  const result = await call([...args, 'echo "$A $B"; pwd; cat'], { stdin: 'in\n' });
  t.match(result, { code: 0, stdout: `1 x=y\n${folder}\nin\n` });
  t.match(await described('inputs'), { labels: { team: 'a/b' }, durable: true });
});

t.test('what is printed shows at once', async (t) => {
  const gate = join(folder, 'gate');
  const { ended, stdout } = start(['run', `echo first; until [ -e '${gate}' ]; do sleep 0.05; done; echo second`]);
  await until('the first line shows', () => stdout() === 'first\n');
  writeFileSync(gate, '');
  t.match(await ended, { code: 0, stdout: 'first\nsecond\n' });
});

t.test('the exit code tells how a script ended that did not end by itself', async (t) => {
  t.match(await call(['run', 'kill -KILL $$']), { code: 137, stderr: /the command was killed by SIGKILL/ });
  t.match(await call(['run', '--timeout', '50ms', 'exec sleep 60']), { code: 124, stderr: /took too long/ });
  const stopped = start(['run', '-d', 'stopped by another', 'echo up; exec sleep 60']);
  await until('it runs', () => stopped.stdout() === 'up\n');
  const { command_uuid } = await described('stopped by another');
  t.match(await call(['stop', command_uuid]), { code: 0, stdout: `${command_uuid}  stopped\n` });
  t.match(await stopped.ended, { code: 143, stderr: /was stopped/ });

  const stubborn = start(['run', '-d', 'killed by another', `trap "" TERM; echo up; while :; do sleep 0.05; done`]);
  await until('it runs', () => stubborn.stdout() === 'up\n');
  const { command_uuid: uuid } = await described('killed by another');
  const killed = await call(['stop', '--kill', '--json', uuid]);
  t.match(killed, { code: 0, stdout: /"stopped": true/ });
  t.match(await stubborn.ended, { code: 143 });
  t.match(await call(['show', '--transitions', uuid]), { stdout: /executing\.running +kill +executing\.killing/ });
});

t.test('Ctrl-C stops the command; a second one leaves it alone', async (t) => {
  const seconds = uniqueSeconds();
  const { child, ended: result, stdout } = start(['run', '-d', 'interrupted', `echo up; exec sleep ${seconds}`]);
  await until('it runs', () => stdout() === 'up\n');
  child.kill('SIGINT');
  t.match(await result, { code: 130, stderr: /stopping/ });
  t.match(await described('interrupted'), { status: 'STOPPED' });
  t.same(processesWith(seconds), []);

  const gate = join(folder, 'gate of the stubborn');
  const stubborn = start([
    'run',
    '-d',
    'stubborn',
    `trap "" TERM; echo up; until [ -e '${gate}' ]; do sleep 0.1; done`,
  ]);
  await until('it runs', () => stubborn.stdout() === 'up\n');
  stubborn.child.kill('SIGINT');
  await until('it says so', () => /stopping/.test(stubborn.stderr()));
  stubborn.child.kill('SIGINT');
  t.match(await stubborn.ended, { code: 130 });
  const left = await described('stubborn');
  t.match(left, { status: 'EXECUTING' });
  writeFileSync(gate, '');
  t.match(await ended(server, left.command_uuid), { status: 'STOPPED' });
});

t.test('a command is followed across the crash of its server, without a gap', async (t) => {
  const side = join(folder, 'side');
  const script = `for i in {1..300}; do echo "line $i" | tee -a '${side}'; [ $((i % 10)) = 0 ] && sleep 0.02; done; exit 3`;
  const { ended: result, stdout } = start(['run', script]);
  await until('it prints', () => stdout().includes('line 50\n'));
  process.kill(await serverPid(server), 'SIGKILL');
  const { code, stdout: printed, stderr } = await result;
  const lines = Array.from({ length: 300 }, (_, i) => `line ${i + 1}\n`).join('');
  const hash = (text: string) => createHash('sha256').update(text).digest('hex');
  t.equal(hash(printed), hash(lines), stderr);
  t.equal(code, 3);
});

t.test('a command that was left alone can be listed, shown, followed and deleted', async (t) => {
  const { stdout } = await call(['run', '--detach', '-d', 'left alone', '-l', 'kind=test', 'echo done']);
  const uuid = stdout.trim();
  t.match(uuid, /^[0-9a-f-]{36}$/);
  await ended(server, uuid);
  t.match(await call(['ls']), {
    code: 0,
    stdout: new RegExp(`^UUID .*\\n(.*\\n)*${uuid}  EXECUTED +0 .* left alone\\n`),
  });
  t.match(await call(['show', uuid]), {
    code: 0,
    stdout: /^status +EXECUTED: exit code 0\n(.*\n)*labels +kind=test\n(.*\n)*output\n {2}done\n$/m,
  });
  t.match(await call(['show', '--transitions', uuid]), {
    code: 0,
    stdout:
      /^AT +FROM +EVENT +TO\n\S+ +admit +queued\n\S+ +queued +start +executing\.starting\n(.*\n)*\S+ +storing +store is done +executed\n$/,
  });
  t.match(await call(['follow', uuid]), { code: 0, stdout: 'done\n' });
  t.match(await call(['rm', uuid, 'nonsense']), {
    code: 125,
    stdout: `${uuid}  deleted\nnonsense  there is no command`,
  });
  t.match(await call(['show', uuid]), {
    code: 125,
    stdout: '',
    stderr: 'shellvisor: there is no command with this uuid\n',
  });
});

t.test('rerun runs a command again, and shows it as run does', async (t) => {
  const { stdout } = await call(
    ['run', '--detach', '--secret-env', 'TOKEN', 'echo "$1 $(echo $TOKEN | rev)"; exit 7', 'x'],
    {
      TOKEN: 'swordfish',
    },
  );
  const uuid = stdout.trim();
  t.match(await call(['rerun', uuid]), { code: 125, stdout: '', stderr: /secret_env must give TOKEN again/ });
  t.match(await call(['rerun', '--secret-env', 'TOKEN', uuid], { TOKEN: 'drowssap' }), {
    code: 7,
    stdout: 'x password\n',
  });
  const detached = await call(['rerun', '--detach', '--json', '--secret-env', 'TOKEN=drowssap', uuid]);
  t.equal(detached.code, 0);
  const again = JSON.parse(detached.stdout).uuid;
  t.match(await ended(server, again), { rerun_of: uuid, exit_code: 7 });
  t.match(await call(['show', again]), { stdout: new RegExp(`^rerun of +${uuid}$`, 'm') });
  t.match(await call(['rerun', 'nonsense']), { code: 125, stderr: /there is no command/ });
});

t.test('a call with the key of an earlier one shows what that has started', async (t) => {
  const file = join(folder, 'runs');
  const run = ['run', '--idempotency-key', 'cli', `echo run | tee -a '${file}'; exit 3`];
  for (let i = 0; i < 2; i++) t.match(await call(run), { code: 3, stdout: 'run\n' });
  t.equal(readFileSync(file, 'utf8'), 'run\n');
  t.match(await call(['run', '--idempotency-key', 'cli', 'true']), {
    code: 125,
    stderr: /^shellvisor: this Idempotency-Key came with another request/,
  });
  const { stdout } = await call(['run', '--detach', 'echo once']);
  const rerun = ['rerun', '--detach', '--idempotency-key', 'rerun', stdout.trim()];
  t.equal((await call(rerun)).stdout, (await call(rerun)).stdout);
});

t.test('commands are pinned, and others deleted by what they are', async (t) => {
  const run = async (...args: string[]) => {
    const { stdout } = await call(['run', '--detach', '-l', 'for=pruning', ...args, 'exit 1']);
    await ended(server, stdout.trim());
    return stdout.trim();
  };
  const [plain, other, dear] = [await run(), await run(), await run('--pin', '-d', 'dear')];
  t.match(await call(['show', dear]), { stdout: /^kind +durable, pinned$/m });
  t.match(await call(['ls', '--pinned', '-l', 'for=pruning', '--after', '1h']), {
    code: 0,
    stdout: new RegExp(`^UUID .*\\n${dear}  FAILED .* dear\\n$`),
  });
  t.same(await call(['ls', '-l', 'for=pruning', '--before', '1h']).then(({ stdout }) => stdout.split('\n').length), 2);
  t.match(await call(['pin', other, 'nonsense']), {
    code: 125,
    stdout: `${other}  pinned\nnonsense  there is no command`,
  });
  const pruning = ['prune', '-l', 'for=pruning', '--status', 'FAILED'];
  t.match(await call([...pruning, '--dry-run']), { code: 0, stdout: '1 would be deleted; kept: 2 pinned\n' });
  t.match(await call([...pruning, '--before', '1h']), { code: 0, stdout: '0 deleted\n' });
  t.match(await call(pruning), { code: 0, stdout: '1 deleted; kept: 2 pinned\n' });
  t.match(await call(['show', plain]), { code: 125, stderr: /there is no command/ });
  t.match(await call(['unpin', other]), { code: 0, stdout: `${other}  unpinned\n` });
  const pruned = await call([...pruning, '--json', '--after', '2026-01-01T00:00:00Z']);
  t.same(JSON.parse(pruned.stdout), { deleted: 1, kept: { live: 0, pinned: 1 } });
  t.match(await call(['prune']), {
    code: 125,
    stdout: '',
    stderr: /^shellvisor: which commands are to be deleted must be/,
  });
  t.match(await call(['prune', '--before', 'long ago']), {
    code: 2,
    stderr: /must look like 2026-11-23T22:51:26Z or 7d/,
  });
});

t.test('--json prints what programs can read', async (t) => {
  const { code, stdout } = await call(['run', '--json', '-d', 'json', 'echo "ä"; printf "\\377" >&2; exit 2']);
  t.equal(code, 2);
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.match(events[0], { type: 'created', uuid: /^[0-9a-f-]{36}$/ });
  const output = events.filter(({ type }) => type === 'output');
  t.match(
    output.find(({ stream }) => stream === 'stdout'),
    { text: 'ä\n' },
  );
  t.match(
    output.find(({ stream }) => stream === 'stderr'),
    { base64: '/w==' },
  );
  t.match(events.at(-1), { type: 'end', status: 'FAILED', exit_code: 2 });
  const { uuid } = events[0];
  t.match(JSON.parse((await call(['ls', '--json', '-n', '1000'])).stdout), [{ command_uuid: String }]);
  t.match(JSON.parse((await call(['show', '--json', uuid])).stdout), { command_uuid: uuid, exit_code: 2 });
  t.match(JSON.parse((await call(['show', '--json', '--transitions', uuid])).stdout), [{ from: null, to: 'queued' }]);
  t.same(JSON.parse((await call(['rm', '--json', uuid])).stdout), [{ uuid, deleted: true, error: null }]);
});

t.test('what goes wrong is told in a line', async (t) => {
  const nobody = `http://127.0.0.1:${await freePort()}`;
  t.match(await call(['ls', '--server', nobody]), {
    code: 125,
    stdout: '',
    stderr: new RegExp(`^shellvisor: no server answers at ${nobody}: .*ECONNREFUSED.*; start one with .*\\n$`),
  });
  t.match(await call(['ls', '-s', 'nonsense']), {
    code: 2,
    stderr: 'shellvisor: the URL of the server is not valid: nonsense\n',
  });
  t.match(await call(['run', '-f', '/nowhere/x']), { code: 2, stderr: /^shellvisor: ENOENT.*\/nowhere\/x/ });
  t.match(await call(['run', '-i', '-'], { stdin: 'x' }), { code: 2, stderr: /both be read from stdin/ });
  t.match(await call(['run', '-e', 'A', 'true']), { code: 2, stderr: /must look like KEY=VALUE/ });
  t.match(await call(['run', '--timeout', 'soon', 'true']), { code: 2, stderr: /must look like 500ms/ });
  t.match(await call(['run', '--secret-env', 'NOT_SET', 'true']), { code: 2, stderr: /no variable NOT_SET/ });
  t.match(await call(['run', '-C', '/nowhere', 'true']), { code: 125, stderr: /^shellvisor: .*\/nowhere/ });
  t.match(await call(['ls', '-n', '0']), {
    code: 125,
    stderr: 'shellvisor: limit must be a whole number from 1 to 1000\n',
  });
  t.match(await call(['frob']), { code: 2, stderr: /unknown command 'frob'/ });
  t.match(await call(['run', '--help']), { code: 0, stdout: /Exit code: that of the script/ });
});

t.test('a reader that goes away ends what it read from, as it would here', async (t) => {
  const { child, ended: result } = start(['run', '-d', 'unread', 'yes']);
  child.stdout.once('data', () => child.stdout.destroy());
  t.match(await result, { code: 141, stderr: '' });
  t.match(await described('unread'), { status: 'STOPPED' });
});

t.test('serve starts a server, which a signal ends gracefully', async (t) => {
  const dataDir = join(folder, 'served');
  const port = `${await freePort()}`;
  const env = { PORT: port, DATA_DIR: dataDir, DATABASE_URL: await createDatabase(t) };
  const { child, ended: result, stdout } = start(['serve'], env);
  await until('it is ready', () => /is ready/.test(stdout()));
  t.match(await call(['run', 'echo served'], { SHELLVISOR_URL: `http://127.0.0.1:${port}` }), { stdout: 'served\n' });
  t.ok(existsSync(dataDir));
  child.kill('SIGTERM');
  t.match(await result, { code: 0 });
});
