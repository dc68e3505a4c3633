import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Client } from 'pg';
import t, { type Test } from 'tap';
import { createDatabase } from '../helpers/cluster.ts';
import { isAlive, processesWith, uniqueSeconds } from '../helpers/processes.ts';
import { launch, startServer, type TestServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const submit = async (server: TestServer, script: string, path = '/api/v1/commands') =>
  (await server.request('POST', path, { script })).body.uuid as string;
const get = async (server: TestServer, uuid: string) => (await server.request('GET', `/api/v1/commands/${uuid}`)).body;
const runs = (server: TestServer, uuid: string) =>
  until('it runs', async () => (await get(server, uuid)).status === 'EXECUTING');

/** A server, and what it takes to start it again on the same data. */
async function restartable(t: Test, env: Record<string, string> = {}) {
  const fixed = { DATABASE_URL: await createDatabase(t), DATA_DIR: temporaryFolder(t), ...env };
  const start = () => startServer(t, fixed);
  return { start, server: await start(), dataDir: fixed.DATA_DIR, databaseUrl: fixed.DATABASE_URL };
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`at ${signal} what runs is stopped, what waits stays, and all output is kept`, async (t) => {
    const { server, start, dataDir } = await restartable(t, { SHELLVISOR_MAX_PARALLEL: '1' });
    const seconds = uniqueSeconds();
    const marker = join(dataDir, 'ran');
    const running = await submit(server, `trap 'echo bye; exit 0' TERM; echo hello; sleep ${seconds} & wait`);
    const waiting = await submit(server, `echo x >> ${marker}; echo ran`);
    await until('it sleeps', () => processesWith(seconds).length > 0);
    t.same(await server.end(signal), { code: 0, signal: null });
    t.same(processesWith(seconds), []);

    const again = await start();
    t.match(await get(again, running), { status: 'STOPPED', reason: 'shutdown', exit_code: 0, output: 'hello\nbye\n' });
    const ran = await until('the queued one ran', async () => {
      const command = await get(again, waiting);
      return command.status === 'EXECUTED' && command;
    });
    t.equal(ran.output, 'ran\n');
    t.equal(readFileSync(marker, 'utf8'), 'x\n', 'once');
  });
}

t.test('while it drains new commands are refused, and reads and stops are answered', async (t) => {
  const { server } = await restartable(t, {
    SHELLVISOR_MAX_PARALLEL: '1',
    SHELLVISOR_STOP_GRACE_MS: '60000',
    SHELLVISOR_SHUTDOWN_MS: '120000',
  });
  const gate = join(temporaryFolder(t), 'gate');
  const running = await submit(
    server,
    `trap 'until [ -e ${gate} ]; do sleep 0.01; done; exit 0' TERM; echo hi; while :; do sleep 0.01; done`,
    '/api/v1/durables/commands',
  );
  const waiting = await submit(server, 'echo never');
  await until('it is ready', async () => (await get(server, running)).output === 'hi\n');
  server.child.kill('SIGTERM');
  const refused = await until('it refuses', async () => {
    const answer = await server.request('POST', '/api/v1/commands', { script: 'true' });
    return answer.status === 503 ? answer : null;
  });
  t.match(refused.body, { code: 'DRAINING', error: 'the server is shutting down and takes no new commands' });
  t.ok(refused.headers.get('retry-after'));
  t.equal((await get(server, running)).status, 'EXECUTING');
  t.equal((await server.request('PATCH', `/api/v1/commands/${waiting}`)).status, 200);
  writeFileSync(gate, '');
  t.same(await server.exited, { code: 0, signal: null });
});

t.test('a script that ignores SIGTERM does not hold up the shutdown beyond its bound', async (t) => {
  const { server, start } = await restartable(t, { SHELLVISOR_SHUTDOWN_MS: '2000', SHELLVISOR_STOP_GRACE_MS: '60000' });
  const seconds = uniqueSeconds();
  const uuid = await submit(server, `trap '' TERM; (setsid sleep ${seconds} &); sleep ${seconds}; sleep ${seconds}`);
  await until('it sleeps', () => processesWith(seconds).length >= 2);
  t.same(await server.end(), { code: 0, signal: null });
  t.same(processesWith(seconds), []);
  t.match(await get(await start(), uuid), { status: 'STOPPED', reason: 'shutdown', signal: 'SIGKILL' });
});

t.test('one Ctrl-C arrives twice under npm start, and is one signal', async (t) => {
  const { server, start } = await restartable(t);
  const uuid = await submit(server, "trap 'sleep 0.7; exit 0' TERM; while :; do sleep 0.01; done");
  await runs(server, uuid);
  server.child.kill('SIGINT');
  server.child.kill('SIGINT');
  t.same(await server.exited, { code: 0, signal: null });
  t.match(await get(await start(), uuid), { status: 'STOPPED', reason: 'shutdown' });
});

t.test('a second, later signal ends it at once', async (t) => {
  const { server } = await restartable(t, { SHELLVISOR_STOP_GRACE_MS: '60000', SHELLVISOR_SHUTDOWN_MS: '120000' });
  const ignores = join(temporaryFolder(t), 'ignores');
  const uuid = await submit(server, `trap '' TERM; touch ${ignores}; while :; do sleep 0.01; done`);
  await until('it ignores SIGTERM', () => existsSync(ignores));
  server.child.kill('SIGTERM');
  const ended = server.exited.then(() => true);
  await until('it ends', async () => {
    server.child.kill('SIGTERM');
    return Promise.race([ended, false]);
  });
  t.same(await server.exited, { code: 1, signal: null });
  for (const pid of processesWith(uuid)) process.kill(pid, 'SIGKILL');
});

t.test('a shutdown that takes too long is cut off', async (t) => {
  const times = { SHELLVISOR_SHUTDOWN_MS: '300', SHELLVISOR_STOP_GRACE_MS: '0' };
  const { server, dataDir, databaseUrl } = await restartable(t, times);
  // PostgreSQL is kept from taking the outcome by a lock of ours.
  const blocker = new Client(databaseUrl);
  await blocker.connect();
  const seconds = uniqueSeconds();
  const uuid = await submit(server, `until [ -e ../../gate ]; do sleep 0.01; done; exec yes ${seconds}`);
  await runs(server, uuid);
  await blocker.query('BEGIN; LOCK TABLE commands, command_output');
  // It waits in write(2), for somebody to take what it prints; nobody will.
  writeFileSync(join(dataDir, 'work', 'gate'), '');
  const yes = await until('it prints', () => processesWith(`yes\0${seconds}`)[0]);
  const exit = await server.end();
  await blocker.end();
  t.notOk(isAlive(yes));
  t.same(exit, { code: 1, signal: null });
  t.match(server.stderr(), /the shutdown took too long/);
});

t.test('connections that stay open do not hold up the shutdown', async (t) => {
  const { server } = await restartable(t);
  const { port } = new URL(server.url);
  const idle = connect(Number(port), '127.0.0.1');
  await once(idle, 'connect');
  idle.write('GET /manage/health HTTP/1.1\r\nHost: x\r\n');
  idle.on('error', () => {});
  t.same(await server.end(), { code: 0, signal: null });
});

t.test('a signal while it starts ends it as soon as it has started, and leaves nothing running', async (t) => {
  const DATA_DIR = join(temporaryFolder(t), 'data');
  const server = launch(t, { DATA_DIR });
  const pid = await until('its PostgreSQL is being set up', () => {
    try {
      return readFileSync(join(DATA_DIR, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0];
    } catch {
      return null;
    }
  });
  server.child.kill('SIGTERM');
  t.same(await server.exited, { code: 0, signal: null });
  await until('PostgreSQL has ended', () => !isAlive(Number(pid)));
});
