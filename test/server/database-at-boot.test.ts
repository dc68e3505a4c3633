import { Client } from 'pg';
import t from 'tap';
import { migrate } from '../../src/persistence/migrate.ts';
import { becomesReady, COMMANDS, DURABLES, ended, submit } from '../helpers/faults.ts';
import { startPrivateCluster } from '../helpers/private-cluster.ts';
import { launch, startServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

/** One for all tests, which bring it back to life before they begin; each has a database of its own. */
const cluster = await startPrivateCluster(t);

t.test('a server that starts before its database says so, waits for it, and then works', async (t) => {
  const DATABASE_URL = await cluster.createDatabase();
  await cluster.kill();
  const server = await startServer(t, { DATABASE_URL });
  t.match(server.stdout(), /shellvisor is waiting for its database: connect (ENOENT|ECONNREFUSED)/);
  t.equal((await server.request('GET', '/manage/health')).status, 200);
  const { status, body } = await server.request('GET', '/manage/ready');
  t.match(
    { status, body },
    { status: 503, body: { status: 'starting', database: 'down', launcher_pid: server.child.pid } },
  );
  for (const [method, path, payload] of [
    ['POST', COMMANDS, { script: 'true' }],
    ['POST', DURABLES, { script: 'true' }],
    ['GET', COMMANDS],
    ['GET', '/manage/statechart'],
    ...['GET', 'PATCH', 'DELETE'].map((method) => [method, `${COMMANDS}/00000000-0000-4000-8000-000000000000`]),
  ] as [string, string, object?][]) {
    const answer = await server.request(method, path, payload);
    t.match(answer, { status: 503, body: { code: 'STORAGE_UNAVAILABLE' } }, `${method} ${path}`);
    t.ok(answer.headers.get('retry-after'), `${method} ${path}`);
  }
  await cluster.start();
  await becomesReady(server);
  t.match(await ended(server, await submit(server, 'echo works')), { status: 'EXECUTED', output: 'works\n' });
  t.same(await server.end(), { code: 0, signal: null });
});

for (const state of ['gone', 'stopped']) {
  t.test(`a server that waits for a database that is ${state} can be shut down at once`, async (t) => {
    const DATABASE_URL = await cluster.createDatabase();
    if (state === 'gone') await cluster.kill();
    else cluster.freeze();
    const server = await startServer(t, { DATABASE_URL, SHELLVISOR_SHUTDOWN_MS: '60000' });
    const before = performance.now();
    t.same(await server.end(), { code: 0, signal: null });
    const took = performance.now() - before;
    t.ok(took < 4000, `it took ${took} ms`);
  });
}

t.test('a server that finds its database busy at the start can be shut down at once', async (t) => {
  const url = await cluster.createDatabase();
  await migrate(url);
  const client = new Client(url);
  await client.connect();
  t.teardown(() => client.end());
  await client.query('BEGIN; LOCK migrations');
  const server = launch(t, { DATABASE_URL: url, DATA_DIR: temporaryFolder(t) });
  await until('it waits for the lock', async () => {
    const waiting = "SELECT FROM pg_locks WHERE relation = 'migrations'::regclass AND NOT granted";
    return (await client.query(waiting)).rows.length > 0;
  });
  server.child.kill('SIGTERM');
  const before = performance.now();
  t.same(await server.exited, { code: 0, signal: null });
  t.ok(performance.now() - before < 3000);
  t.notMatch(server.stdout(), /shellvisor is/, 'it never served');
});

t.test('what a server that waited for its database can not mend ends it with one line', async (t) => {
  const DATABASE_URL = await cluster.createDatabase();
  await cluster.kill();
  const server = launch(
    t,
    { DATABASE_URL: DATABASE_URL.replace('shellvisor@', 'stranger:secret@'), DATA_DIR: temporaryFolder(t) },
    { entry: 'server.ts' },
  );
  await until('it waits', () => server.stdout().includes('is waiting for its database'));
  await cluster.start();
  t.same(await server.exited, { code: 1, signal: null });
  t.match(server.stderr(), /\nshellvisor: the database of DATABASE_URL can't be reached: .*authentication failed.*\n$/);
  t.notMatch(server.stderr(), /secret/);
});
