import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  becomesReady,
  COMMANDS,
  checkHealth,
  checkOracles,
  DURABLES,
  ended,
  readiness,
  startOracles,
  submit,
  watchHealth,
} from '../helpers/faults.ts';
import { startPrivateCluster } from '../helpers/private-cluster.ts';
import { isAlive, processesWith, uniqueSeconds } from '../helpers/processes.ts';
import { freePort, serverPid, startServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

/** One for all tests, which bring it back to life before they begin; each has a database of its own. */
const cluster = await startPrivateCluster(t);

async function setup(t: Test, env: Record<string, string> = {}) {
  const fixed = { DATABASE_URL: await cluster.createDatabase(), LOG_LEVEL: 'fatal', ...env };
  return { folder: temporaryFolder(t), server: await startServer(t, fixed), databaseUrl: fixed.DATABASE_URL };
}

t.test('under kills of PostgreSQL no byte is lost or doubled, no outcome is wrong, no script runs twice', async (t) => {
  const { folder, server, databaseUrl } = await setup(t, { SHELLVISOR_MAX_PARALLEL: '6' });
  const pid = await serverPid(server);
  const health = watchHealth(server);
  const oracles = await startOracles(server, folder, 6, 2500);
  for (let round = 0; round < 3; round++) {
    await cluster.kill();
    await until('it is noticed', async () => (await readiness(server)) === 'unavailable');
    await cluster.start();
    await becomesReady(server);
  }
  await checkOracles(t, server, databaseUrl, oracles);
  checkHealth(t, await health());
  t.equal(await serverPid(server), pid, 'the server has lived through it');
  t.same(await server.end(), { code: 0, signal: null });
});

t.test('while PostgreSQL is stopped everything is answered, scripts go on, and nothing is lost', async (t) => {
  const { folder, server, databaseUrl } = await setup(t, { SHELLVISOR_STOP_GRACE_MS: '200' });
  const seconds = uniqueSeconds();
  const stopped = await submit(server, `trap 'echo bye' TERM; sleep ${seconds}; sleep ${seconds}`, DURABLES);
  await until('it sleeps', () => processesWith(`sleep\0${seconds}`).length > 0);
  const oracles = await startOracles(server, folder, 4, 2000);
  const { body: record } = await server.request('GET', `${COMMANDS}/${stopped}`);
  t.equal(record.status, 'EXECUTING');

  cluster.freeze();
  const health = watchHealth(server);
  const marker = join(folder, 'never');
  const before = performance.now();
  // More reads than there are connections: those that wait for one are answered as well.
  const reads = Array.from({ length: 30 }, () => server.request('GET', `${COMMANDS}/${stopped}`));
  const [creation, stop, stopAgain, deletion, prune, pin] = await Promise.all([
    server.request('POST', COMMANDS, { script: `echo ran > ${marker}` }),
    server.request('PATCH', `${COMMANDS}/${stopped}`),
    server.request('PATCH', `${COMMANDS}/${stopped}`),
    server.request('DELETE', `${COMMANDS}/00000000-0000-4000-8000-000000000000`),
    server.request('DELETE', `${COMMANDS}?status=FAILED`),
    server.request('PUT', `${COMMANDS}/${stopped}/pin`),
    ...reads,
  ]);
  const took = performance.now() - before;
  t.ok(took < 15_000, `all were answered after ${took} ms`);
  const unavailable = { status: 503, body: { code: 'STORAGE_UNAVAILABLE' } };
  for (const answer of [creation, deletion, prune, pin, ...(await Promise.all(reads))]) {
    t.match(answer, unavailable);
    t.ok(answer.headers.get('retry-after'));
  }
  t.match(creation.body, { error: /nothing was stored/ });
  for (const answer of [stop, stopAgain])
    t.match(answer, { ...unavailable, body: { error: /is being stopped.*ask again/ } });
  t.same(processesWith(seconds), [], 'the stop went on without the database');
  t.match(await server.request('GET', '/manage/ready'), {
    status: 503,
    body: { status: 'unavailable', database: 'down' },
  });
  checkHealth(t, await health());

  cluster.thaw();
  await becomesReady(server);
  t.match(await ended(server, stopped), { status: 'STOPPED', reason: 'stop', output: 'bye\n' });
  t.equal((await server.request('PATCH', `${COMMANDS}/${stopped}`)).status, 200);
  await checkOracles(t, server, databaseUrl, oracles);
  const { body: list } = await server.request('GET', COMMANDS);
  t.equal(list.length, 5, 'the command that was refused is not there');
  t.notOk(existsSync(marker), 'and has not run');
  t.same(await server.end(), { code: 0, signal: null });
});

for (const state of ['gone', 'stopped']) {
  t.test(
    `a server that is killed while PostgreSQL is ${state} goes on with its scripts once that is back`,
    async (t) => {
      const { folder, server, databaseUrl } = await setup(t, { PORT: `${await freePort()}` });
      const oracles = await startOracles(server, folder, 4, 2500);
      if (state === 'gone') await cluster.kill();
      else cluster.freeze();
      const pid = await serverPid(server);
      process.kill(pid, 'SIGKILL');
      await until('it is gone', () => !isAlive(pid));
      await until('the next one waits', async () => (await readiness(server).catch(() => null)) === 'starting');
      if (state === 'gone') await cluster.start();
      else cluster.thaw();
      await becomesReady(server);
      await checkOracles(t, server, databaseUrl, oracles);
      t.same(await server.end(), { code: 0, signal: null });
    },
  );
}

t.test('the time of a command goes on while its server waits for PostgreSQL', async (t) => {
  const { server } = await setup(t, { PORT: `${await freePort()}` });
  const timeoutMs = 8000;
  const { body } = await server.request('POST', COMMANDS, { script: 'sleep 1000', timeout_ms: timeoutMs });
  await until(
    'it runs',
    async () => (await server.request('GET', `${COMMANDS}/${body.uuid}`)).body.started_at !== null,
  );
  const startedAt = performance.now();
  await cluster.kill();
  process.kill(await serverPid(server), 'SIGKILL');
  await until('the next one waits', async () => (await readiness(server).catch(() => null)) === 'starting');
  await until('the time is over', () => performance.now() - startedAt > timeoutMs);
  await cluster.start();
  await becomesReady(server);
  const readyAt = performance.now();
  t.match(await ended(server, body.uuid), { status: 'FAILED', reason: 'timeout' });
  const late = performance.now() - readyAt;
  t.ok(late < 2500, `ended ${late} ms after the server was ready, not when the time that it waited had passed again`);
  t.same(await server.end(), { code: 0, signal: null });
});

t.test('a server that starts while PostgreSQL restarts leaves the commands of those that live alone', async (t) => {
  const { folder, server, databaseUrl } = await setup(t);
  const oracles = await startOracles(server, folder, 2, 2500);
  await cluster.kill();
  // It is there first: it looks for the database as often as the other one.
  const second = await startServer(t, { DATABASE_URL: databaseUrl, LOG_LEVEL: 'fatal' });
  await cluster.start();
  await becomesReady(second);
  await becomesReady(server);
  const { body: list } = await second.request('GET', COMMANDS);
  t.same(
    list.map(({ reason }: { reason: string | null }) => reason === 'lost'),
    [false, false],
  );
  await checkOracles(t, server, databaseUrl, oracles);
  t.same(await second.end(), { code: 0, signal: null });
  t.same(await server.end(), { code: 0, signal: null });
});
