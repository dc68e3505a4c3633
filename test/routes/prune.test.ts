import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client } from 'pg';
import t, { type Test } from 'tap';
import { Changes } from '../../src/persistence/changes.ts';
import { createKeeper } from '../../src/persistence/keeper.ts';
import { createTurns } from '../../src/persistence/turns.ts';
import { startApp, type TestApp } from '../helpers/app.ts';
import { openDatabase } from '../helpers/database.ts';
import { deletedByTransaction, type Stored, storeCommands } from '../helpers/stored.ts';
import { until } from '../helpers/until.ts';

const PATH = '/api/v1/commands';

const names = async ({ database }: Pick<TestApp, 'database'>) =>
  (await database.rows('SELECT description FROM commands ORDER BY id')).map(({ description }) => description).join(' ');

/** So many commands that have failed, named by their numbers. */
const failed = (count: number, first = 0): Stored[] =>
  Array.from({ length: count }, (_, i) => ({ description: `${first + i}`, status: 'FAILED', exitCode: 1 }));

/** So many ids are looked through at once. */
const STRIDE = 20_480;

const restartIds = ({ database }: TestApp, id: number) =>
  database.rows(`ALTER TABLE commands ALTER COLUMN id RESTART WITH ${id}`);

/** A transaction that keeps the failed command of this number, so that whoever deletes it waits. */
async function keepLocked(t: Test, { database }: TestApp, number: number) {
  const client = new Client(database.url);
  await client.connect();
  t.teardown(() => client.end());
  await client.query('BEGIN');
  await client.query('SELECT FROM commands WHERE description = $1 FOR UPDATE', [`${number}`]);
  return {
    isWaitedFor: () =>
      until('the deletion has got there', async () => {
        const waiting = await database.rows(
          "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
        );
        return waiting.length > 0;
      }),
    release: () => client.query('COMMIT'),
  };
}

t.test('what matches a filter and has ended is deleted, and as many as a dry run says', async (t) => {
  const app = await startApp(t);
  const commands: Stored[] = [
    { description: 'old', createdAt: '2026-01-01T00:00:00Z' },
    { description: 'seven', status: 'FAILED', exitCode: 7, durable: true, script: 'echo find me' },
    { description: 'killed', status: 'FAILED', reason: 'signal', exitCode: null, labels: { env: 'prod' } },
    {
      description: 'dear',
      status: 'FAILED',
      exitCode: 7,
      pinned: true,
      labels: { env: 'prod' },
      script: 'find me too',
    },
    { description: 'waits', status: 'QUEUED', labels: { env: 'prod' }, createdBy: 'ann' },
    { description: 'runs', status: 'EXECUTING', durable: true, pinned: true, script: 'find me' },
    { description: 'late', createdAt: '2026-12-31T00:00:00Z', script: 'find me', createdBy: 'ann' },
  ];
  for (const [query, deleted, live, pinned, left] of [
    ['status=FAILED', 2, 0, 1, 'old dear waits runs late'],
    ['status=EXECUTED,FAILED&status=QUEUED', 4, 1, 1, 'dear waits runs'],
    ['status=QUEUED', 0, 1, 0, 'old seven killed dear waits runs late'],
    ['durable=true', 1, 1, 0, 'old killed dear waits runs late'],
    ['reason=signal', 1, 0, 0, 'old seven dear waits runs late'],
    ['created_by=ann', 1, 1, 0, 'old seven killed dear waits runs'],
    ['exit_code=7', 1, 0, 1, 'old killed dear waits runs late'],
    ['exit_code=8', 0, 0, 0, 'old seven killed dear waits runs late'],
    ['label.env=prod', 1, 1, 1, 'old seven dear waits runs late'],
    ['label.env=prod&status=FAILED', 1, 0, 1, 'old seven dear waits runs late'],
    ['q=FIND+me', 2, 1, 1, 'old killed dear waits runs'],
    ['q=nowhere', 0, 0, 0, 'old seven killed dear waits runs late'],
    ['created_before=2026-02-01T00:00:00Z', 1, 0, 0, 'seven killed dear waits runs late'],
    ['created_after=2026-02-01T00:00:00Z&created_before=2026-06-01T00:00:00Z', 2, 2, 1, 'old dear waits runs late'],
    ['pinned=false', 4, 1, 0, 'dear waits runs'],
    ['pinned=true', 0, 1, 1, 'old seven killed dear waits runs late'],
  ] as const) {
    await app.database.rows('DELETE FROM commands');
    await restartIds(app, 3 * STRIDE - 4);
    await storeCommands(app.database, commands);
    const all = commands.map(({ description }) => description).join(' ');
    const kept = { live, pinned };
    const dry = await app.request('DELETE', `${PATH}?${query}&dry_run=true`);
    t.match(dry, { status: 200 }, query);
    t.same(dry.body, { deleted, kept, dry_run: true }, `dry: ${query}`);
    t.equal(await names(app), all, 'a dry run deletes nothing');
    const { status, body } = await app.request('DELETE', `${PATH}?${query}&dry_run=false`);
    t.same({ status, body }, { status: 200, body: { deleted, kept } }, query);
    t.equal(await names(app), left, query);
  }
});

t.test('nothing is left of what is deleted, and its end is told', async (t) => {
  const { request, submit, reaches, database } = await startApp(t);
  const uuid = await submit('echo printed; exit 1');
  await reaches(uuid, 'FAILED');
  t.match(await request('DELETE', `${PATH}?status=FAILED`), { body: { deleted: 1 } });
  for (const table of ['commands', 'command_output', 'command_search', 'command_transitions']) {
    t.same(await database.rows(`SELECT * FROM ${table}`), [], table);
  }
  const events = await database.rows('SELECT command_uuid FROM command_events WHERE status IS NULL');
  t.same(events, [{ command_uuid: uuid }]);
  t.match(await request('GET', `${PATH}/${uuid}`), { status: 404 });
});

t.test('a request that does not say which commands, or says it wrong, is refused and deletes nothing', async (t) => {
  const app = await startApp(t);
  await storeCommands(app.database, failed(2));
  for (const [query, code, error] of [
    [
      '',
      'FILTER_REQUIRED',
      /^which commands are to be deleted must be said by at least one of status, durable, label\.NAME, /,
    ],
    ['?', 'FILTER_REQUIRED', /created_before, q$/],
    ['?dry_run=true', 'FILTER_REQUIRED', /at least one of/],
    ['?dry_run=yes&status=FAILED', 'INVALID_REQUEST', /^dry_run must be true or false$/],
    ['?status=DONE', 'INVALID_REQUEST', /^status must be one of/],
    ['?exit_code=256', 'INVALID_REQUEST', /^exit_code must be/],
    ['?pinned=', 'INVALID_REQUEST', /^pinned must be true or false$/],
    ['?q=ab', 'INVALID_REQUEST', /^q must be at least 3/],
    ['?created_before=yesterday', 'INVALID_REQUEST', /^created_before must be a time/],
    ['?label.=x', 'INVALID_REQUEST', /^label\. must be the name of a label$/],
    ['?status=FAILED&limit=1', 'INVALID_REQUEST', /^unknown: limit$/],
    ['?status=FAILED&offset=1', 'INVALID_REQUEST', /^unknown: offset$/],
    ['?status=FAILED&cursor=x', 'INVALID_REQUEST', /^unknown: cursor$/],
    ['?status=FAILED&count=true', 'INVALID_REQUEST', /^unknown: count$/],
    ['?statuss=FAILED', 'INVALID_REQUEST', /^unknown: statuss$/],
  ] as const) {
    t.match(await app.request('DELETE', `${PATH}${query}`), { status: 400, body: { code, error } }, query);
  }
  t.equal(await names(app), '0 1');
});

t.test('what comes while a deletion is under way stays, and so does what is pinned meanwhile', async (t) => {
  const app = await startApp(t);
  const uuids = await storeCommands(app.database, failed(1100));
  // Those of the second stride are looked for when those of the first are deleted.
  await restartIds(app, STRIDE);
  uuids.push(...(await storeCommands(app.database, failed(200, 1100))));
  const lock = await keepLocked(t, app, 600);
  const deletion = app.request('DELETE', `${PATH}?status=FAILED`);
  await lock.isWaitedFor();
  await storeCommands(app.database, [{ description: 'new', status: 'FAILED' }]);
  for (const i of [1050, 1200]) await app.request('PUT', `${PATH}/${uuids[i]}/pin`);
  const pin = app.request('PUT', `${PATH}/${uuids[700]}/pin`);
  t.match(
    await app.request('POST', PATH, { script: 'true' }),
    { status: 201 },
    'others go on while the deletion waits',
  );
  await lock.release();
  const { deleted, kept } = (await deletion).body;
  const { status } = await pin;
  // Whether the other pin came first, or found its command gone.
  const early = status === 204 ? 1 : 0;
  t.same({ deleted, kept }, { deleted: 1298 - early, kept: { live: 0, pinned: 2 + early } });
  t.same(
    (await app.database.rows("SELECT description FROM commands WHERE status = 'FAILED' ORDER BY id")).map(
      ({ description }) => description,
    ),
    [...(early ? ['700'] : []), '1050', '1200', 'new'],
  );
  t.same(await deletedByTransaction(app.database), [500, 500 - early, 99, 199]);
});

t.test('when its client goes away a deletion stops between two transactions', async (t) => {
  const app = await startApp(t);
  await storeCommands(app.database, failed(2000));
  await app.app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.app.server.address() as AddressInfo;
  const lock = await keepLocked(t, app, 600);
  const client = httpRequest({ port, method: 'DELETE', path: `${PATH}?status=FAILED` }).on('error', () => {});
  client.end();
  await lock.isWaitedFor();
  client.destroy();
  await until('the server has noticed', async () => {
    const connections = await new Promise<number>((resolve) => app.app.server.getConnections((_, n) => resolve(n)));
    return connections === 0;
  });
  await lock.release();
  // Each has its turn: had the deletion gone on, one of these would find less than the one before it.
  const left = [];
  for (let i = 0; i < 3; i++)
    left.push((await app.request('DELETE', `${PATH}?status=FAILED&dry_run=true`)).body.deleted);
  t.same(left, [1000, 1000, 1000]);
});

t.test('when the server ends a deletion stops between two transactions, and says how far it has come', async (t) => {
  const app = await startApp(t);
  await storeCommands(app.database, failed(2000));
  const lock = await keepLocked(t, app, 600);
  const deletion = app.request('DELETE', `${PATH}?status=FAILED`);
  await lock.isWaitedFor();
  const closing = app.app.close();
  await lock.release();
  const { status, headers, body } = await deletion;
  t.match(
    { status, body, again: headers['retry-after'] },
    {
      status: 503,
      body: { code: 'DRAINING', error: /shutting down; 1000 commands are deleted, send it again/ },
      again: '5',
    },
  );
  await closing;
  t.match(await app.database.rows('SELECT count(*)::int FROM commands'), [{ count: 1000 }]);
});

t.test('two deletions of the same at once share it', async (t) => {
  const app = await startApp(t);
  await storeCommands(app.database, failed(1500));
  const other = createKeeper({ ...app, pool: app.database.pool, deletePool: app.database.pool, turns: createTurns() });
  const { signal } = new AbortController();
  const answers = await Promise.all([
    app.request('DELETE', `${PATH}?status=FAILED`).then(({ body }) => body.deleted),
    app.request('DELETE', `${PATH}?exit_code=1`).then(({ body }) => body.deleted),
    other.prune({ statuses: ['FAILED'] }, false, signal).then(({ deleted }) => deleted),
  ]);
  t.equal(
    answers.reduce((sum, deleted) => sum + deleted, 0),
    1500,
    `${answers}`,
  );
  t.equal(await names(app), '');
});

t.test('while the database fails a deletion says how far it has come', async (t) => {
  const database = await openDatabase(t);
  await storeCommands(database, failed(1200));
  const { pool } = database;
  let deletions = 0;
  const query: typeof pool.query = async (statement) => {
    if (++deletions > 1) throw Object.assign(new Error('connection reset'), { code: 'ECONNRESET' });
    return pool.query(statement);
  };
  const deletePool = { ...pool, query } as typeof pool;
  const keeper = createKeeper({ pool, deletePool, turns: createTurns(), changes: new Changes() });
  await t.rejects(keeper.prune({ statuses: ['FAILED'] }, false, new AbortController().signal), {
    code: 'STORAGE_UNAVAILABLE',
    message: /^the database does not answer; 500 commands are deleted, perhaps more; send it again later/,
  });
  t.match(await database.rows('SELECT count(*)::int FROM commands'), [{ count: 700 }]);
});

t.test('what is large is deleted in smaller transactions', async (t) => {
  const app = await startApp(t);
  await app.database.rows(
    `INSERT INTO commands (command_uuid, script, durable, created_at, owner)
     SELECT gen_random_uuid(), repeat('x', 10485760), false, now(), 7 FROM generate_series(1, 6)`,
  );
  await app.database.rows("UPDATE commands SET status = 'FAILED', reason = 'lost', ended_at = now()");
  t.match(await app.request('DELETE', `${PATH}?status=FAILED`), { body: { deleted: 6 } });
  t.same(await deletedByTransaction(app.database), [4, 2], '32 MiB at once');
});
