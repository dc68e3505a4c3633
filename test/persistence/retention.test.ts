import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import t, { type Test } from 'tap';
import { outputLimitOf, type Retention } from '../../src/command.ts';
import { Changes } from '../../src/persistence/changes.ts';
import { migrate } from '../../src/persistence/migrate.ts';
import { openPool, Patience } from '../../src/persistence/pool.ts';
import { regularly } from '../../src/persistence/regularly.ts';
import { applyRetention, type Expired } from '../../src/persistence/retention.ts';
import { addUpTotals, selectStorageUse, selectTotals } from '../../src/persistence/sql/totals.ts';
import { createTurns } from '../../src/persistence/turns.ts';
import { newCommand, openDatabase, type TestDatabase } from '../helpers/database.ts';
import { journalFor } from '../helpers/journal.ts';
import { startPrivateCluster } from '../helpers/private-cluster.ts';
import { deletedByTransaction, type Stored, storeCommands } from '../helpers/stored.ts';
import { until } from '../helpers/until.ts';

/** When something ended so many seconds ago. */
const ago = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString();

/** So many ended commands, named by their numbers: the first ended first, and each a minute after the one before it. */
const numbered = (count: number, fields: Stored = {}): Stored[] =>
  Array.from({ length: count }, (_, i) => ({ description: `${i}`, endedAt: ago(60 * (count - i)), ...fields }));

async function setup(t: Test, database?: TestDatabase) {
  const { rows, pool, url } = database ?? (await openDatabase(t));
  const expired: Expired[] = [];
  return {
    rows,
    pool,
    url,
    expired,
    /** Deletes what is to be deleted, once. */
    apply: (retention: Retention, signal = new AbortController().signal) =>
      applyRetention(
        { retention, pool, turns: createTurns(), changes: new Changes(), onExpired: (one) => expired.push(one) },
        signal,
      ),
    store: (commands: readonly Stored[]) => storeCommands({ rows }, commands),
    /** The names of all commands, in the order of their admission. */
    names: async () => (await rows('SELECT description FROM commands ORDER BY id')).map((row) => row.description),
  };
}

/** What is counted, beside what there is. */
async function checkTotals(t: Test, { rows, pool }: TestDatabase, message = 'as counted'): Promise<void> {
  const [row] = await rows(`
    SELECT count(*) FILTER (WHERE NOT pinned)::int AS commands, coalesce(sum(kept_bytes) FILTER (WHERE NOT pinned), 0)::int AS bytes,
      count(*)::int AS all, count(*) FILTER (WHERE pinned)::int AS pinned, coalesce(sum(kept_bytes), 0)::int AS all_bytes,
      (SELECT count(*)::int FROM commands WHERE ended_at IS NULL) AS live
    FROM commands WHERE ended_at IS NOT NULL`);
  t.same(await selectTotals(pool), { commands: row.commands, bytes: row.bytes }, message);
  const { diskBytes, ...use } = await selectStorageUse(pool);
  t.same(use, { commands: row.all + row.live, pinned: row.pinned, bytes: row.all_bytes }, message);
  const [{ sum }] = await rows(`
    SELECT sum(pg_total_relation_size(oid))::int FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'migrations'`);
  t.equal(diskBytes, sum, 'no table is forgotten');
}

t.test('what ended too long ago is deleted, whenever it was created', async (t) => {
  const { store, apply, names, expired } = await setup(t);
  await store([
    { description: 'old', endedAt: ago(3700) },
    { description: 'older', endedAt: ago(7200), status: 'FAILED' },
    { description: 'created long ago', createdAt: ago(90_000), endedAt: ago(3500) },
    { description: 'pinned', endedAt: ago(90_000), pinned: true },
    { description: 'waits', status: 'QUEUED', createdAt: ago(90_000) },
    { description: 'runs', status: 'EXECUTING', createdAt: ago(90_000) },
    { description: 'stopped', status: 'STOPPED', reason: 'stop', endedAt: ago(3601) },
  ]);
  await apply({ age: 3600 });
  t.same(await names(), ['created long ago', 'pinned', 'waits', 'runs']);
  t.same(expired, [{ rule: 'age', commands: 3, bytes: 12 }]);
  await apply({ age: 3600 });
  t.equal(expired.length, 1, 'nothing to be told when there is nothing to do');
});

t.test('without any bound all stays', async (t) => {
  const { store, apply, names } = await setup(t);
  await store([{ description: 'ancient', endedAt: '1999-01-01T00:00:00Z' }]);
  await apply({});
  t.same(await names(), ['ancient']);
});

t.test('of too many those that ended last stay; live and pinned ones do not count', async (t) => {
  const { store, apply, names, expired } = await setup(t);
  await store([
    { description: 'a long one', endedAt: ago(1) },
    { description: 'pinned', endedAt: ago(60), pinned: true },
    { description: 'first', endedAt: ago(50) },
    { description: 'third', endedAt: ago(30) },
    { description: 'second', endedAt: ago(40) },
    { description: 'waits', status: 'QUEUED' },
    { description: 'runs', status: 'EXECUTING' },
  ]);
  await apply({ count: 4 });
  t.equal((await names()).length, 7, 'as many as may be');
  await apply({ count: 2 });
  t.same(await names(), ['a long one', 'pinned', 'third', 'waits', 'runs']);
  t.same(expired, [{ rule: 'count', commands: 2, bytes: 8 }]);
});

t.test(
  'what is kept of scripts, stdins and outputs is counted to the byte, of a truncated output head and tail',
  async (t) => {
    const { journal, ...database } = await journalFor(t, { outputLimit: outputLimitOf(10_000) });
    const { apply, names, expired, rows } = await setup(t, database);
    const run = async (description: string, script: string, printed: number, stdin?: Uint8Array) => {
      const command = newCommand({ description, script, inputs: { stdin }, durable: true });
      await journal.insert(command);
      await journal.begin(command.uuid, new Date());
      const output = journal.openOutput(command.uuid, true);
      for (let rest = printed; rest > 0; rest -= 700) output.write('stdout', randomBytes(Math.min(rest, 700)));
      const outcome = {
        status: 'EXECUTED',
        reason: 'exit',
        exitCode: 0,
        signal: null,
        error: null,
        durationMs: 1,
        stoppedBy: null,
      } as const;
      await journal.finish(command.uuid, outcome, new Date());
    };
    await run('short', 'true', 5);
    await run('with stdin', 'ñ', 0, randomBytes(1000));
    await run('long', '#'.repeat(3000), 250_000);
    const kept = await rows(`
    SELECT description, kept_bytes::int, (octet_length(script) + coalesce(octet_length(stdin), 0)
      + coalesce((SELECT sum(octet_length(data)) FROM command_output WHERE command_id = id), 0))::int AS found
    FROM commands ORDER BY id`);
    t.same(kept, [
      { description: 'short', kept_bytes: 9, found: 9 },
      { description: 'with stdin', kept_bytes: 1002, found: 1002 },
      { description: 'long', kept_bytes: 13_000, found: 13_000 },
    ]);
    await checkTotals(t, database);
    await apply({ bytes: 14_011 });
    t.equal((await names()).length, 3, 'as much as may be');
    await apply({ bytes: 14_002 });
    t.same(await names(), ['with stdin', 'long']);
    await apply({ bytes: 13_001 });
    t.same(await names(), ['long']);
    await apply({ bytes: 12_999 });
    t.same(await names(), []);
    t.same(
      expired.map(({ rule, commands, bytes }) => [rule, commands, bytes]),
      [
        ['bytes', 1, 9],
        ['bytes', 1, 1002],
        ['bytes', 1, 13_000],
      ],
    );
    for (const table of ['command_output', 'command_search']) t.same(await rows(`SELECT * FROM ${table}`), [], table);
  },
);

t.test('each bound is kept beside the others', async (t) => {
  const { store, apply, names, expired } = await setup(t);
  await store(numbered(10, { script: 'x'.repeat(100) }));
  await apply({ age: 8.5 * 60, count: 5, bytes: 250 });
  t.same(await names(), ['8', '9']);
  t.same(
    expired.map(({ rule }) => rule),
    ['age', 'count', 'bytes'],
  );
});

t.test('nothing is left of what is deleted, and its end is told', async (t) => {
  const { rows, store, apply } = await setup(t);
  const uuids = await store(numbered(3, { output: 'printed' }));
  await apply({ count: 1 });
  for (const table of ['command_output', 'command_search']) t.equal((await rows(`SELECT * FROM ${table}`)).length, 1);
  const deleted = await rows('SELECT command_uuid FROM command_events WHERE status IS NULL ORDER BY seq');
  t.same(
    deleted.map((row) => row.command_uuid),
    uuids.slice(0, 2),
  );
});

t.test('much is deleted in small transactions, by number and by size', async (t) => {
  const { rows, store, apply, names } = await setup(t);
  await store(numbered(1250));
  await apply({ count: 20 });
  t.same(
    await names(),
    numbered(1250)
      .slice(-20)
      .map(({ description }) => description),
  );
  t.same(await deletedByTransaction({ rows }), [500, 500, 230]);

  await rows('TRUNCATE command_events');
  await rows(
    `INSERT INTO commands (command_uuid, script, durable, created_at, owner)
     SELECT gen_random_uuid(), repeat('x', 10485760), false, now(), 7 FROM generate_series(1, 6)`,
  );
  await rows("UPDATE commands SET status = 'EXECUTED', reason = 'exit', ended_at = now() WHERE ended_at IS NULL");
  await apply({ bytes: 1 });
  t.same(await deletedByTransaction({ rows }), [20 + 4, 2], '32 MiB at once');
});

t.test('it stops between two transactions', async (t) => {
  const database = await openDatabase(t);
  const { store, apply, names, pool } = await setup(t, database);
  await store(numbered(1200));
  const ending = new AbortController();
  const changes = new Changes();
  changes.tell = () => ending.abort();
  const told: Expired[] = [];
  const options = {
    retention: { count: 1 },
    pool,
    turns: createTurns(),
    changes,
    onExpired: (one: Expired) => told.push(one),
  };
  await applyRetention(options, ending.signal);
  t.equal((await names()).length, 700);
  t.same(told, [{ rule: 'count', commands: 500, bytes: 2000 }], 'what was deleted is told');
  await apply({ count: 1 }, ending.signal);
  t.equal((await names()).length, 700, 'and it does not begin again');
  await checkTotals(t, database);
});

t.test('several servers on one database delete no more than one would', async (t) => {
  const database = await openDatabase(t);
  const { store, names, rows } = await setup(t, database);
  const total = 3000;
  await store(numbered(total, { script: 'x'.repeat(10) }));
  const servers = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const pool = await openPool(database.url, { maxPoolSize: 2, patience: new Patience(60_000) });
      t.teardown(() => pool.end());
      return setup(t, { ...database, pool });
    }),
  );
  const counts = [2400, 1700, 1100, 400];
  for (const count of counts) {
    await until('all is done that is to be', async () => {
      await Promise.all(servers.map(({ apply }) => apply({ count, bytes: count * 10 })));
      return (await selectTotals(database.pool)).commands <= count;
    });
    const expected = numbered(total).slice(-count);
    t.same(
      await names(),
      expected.map(({ description }) => description),
    );
  }
  const told = servers.flatMap(({ expired }) => expired).reduce((sum, { commands }) => sum + commands, 0);
  t.equal(told, total - (counts.at(-1) ?? 0), 'each deletion is told by the server that has made it');
  t.equal((await rows('SELECT * FROM command_events WHERE status IS NULL')).length, told);
  await checkTotals(t, database);
});

t.test('what somebody pins or deletes at that moment holds nobody up', async (t) => {
  const database = await openDatabase(t);
  const { store, apply, names, rows } = await setup(t, database);
  await store(numbered(10));
  await rows('BEGIN');
  await rows("UPDATE commands SET pinned = true WHERE description = '0'");
  await rows("DELETE FROM commands WHERE description = '1'");
  await apply({ count: 5 });
  t.same(await names(), ['0', '7', '8', '9'], 'as they see it, five of ten were too many');
  await rows('COMMIT');
  t.same(await names(), ['0', '7', '8', '9']);
  await checkTotals(t, database);
});

t.test('what there is stays counted, whatever becomes of commands, and by how many at once', async (t) => {
  const database = await openDatabase(t);
  const { rows, pool } = database;
  await storeCommands(database, [
    ...numbered(20, { output: 'some' }),
    { status: 'QUEUED', pinned: true },
    { status: 'EXECUTING' },
    ...numbered(3, { pinned: true }),
  ]);
  await checkTotals(t, database, 'stored');
  for (const change of [
    "UPDATE commands SET pinned = true WHERE description IN ('3', '4') OR status = 'EXECUTING'",
    "UPDATE commands SET pinned = false WHERE description = '4'",
    "UPDATE commands SET status = 'FAILED', reason = 'lost', ended_at = now(), output_bytes = 7 WHERE ended_at IS NULL",
    "UPDATE commands SET description = 'other' WHERE description = '5'",
    "DELETE FROM commands WHERE description IN ('0', '3', '6')",
  ]) {
    await rows(change);
    await checkTotals(t, database, change);
  }
  const writers = Array.from({ length: 4 }, async () => {
    const client = new Client(database.url);
    await client.connect();
    const writer = { rows: async (text: string, values?: unknown[]) => (await client.query(text, values)).rows };
    for (let round = 0; round < 30; round++) {
      await storeCommands(writer, numbered(3));
      await addUpTotals(pool);
    }
    await client.end();
  });
  await Promise.all(writers);
  await checkTotals(t, database, 'by several at once');
  await addUpTotals(pool);
  const [{ count }] = await rows('SELECT count(*)::int FROM command_totals');
  t.ok(count <= 100, `added up: ${count} rows are left`);
  await rows('TRUNCATE commands CASCADE');
  await checkTotals(t, database, 'all gone');
});

t.test('while the database is away nothing is deleted, and once it is back all that is to be', async (t) => {
  const cluster = await startPrivateCluster(t);
  const url = await cluster.createDatabase();
  await migrate(url);
  const pool = await openPool(url, { maxPoolSize: 1, patience: new Patience(60_000) });
  const client = new Client(url);
  await client.connect();
  await storeCommands({ rows: async (text, values) => (await client.query(text, values)).rows }, numbered(5));
  await client.end();

  await cluster.kill();
  const ending = new AbortController();
  t.teardown(async () => {
    ending.abort();
    await pool.end();
  });
  let failures = 0;
  const expired: Expired[] = [];
  const options = {
    pool,
    turns: createTurns(),
    changes: new Changes(),
    onExpired: (one: Expired) => expired.push(one),
  };
  const apply = () => applyRetention({ ...options, retention: { count: 2 } }, ending.signal);
  regularly(20, ending.signal, apply, () => failures++);
  await until('it has tried again', () => failures > 1);
  t.same(expired, []);
  await cluster.start();
  await until('it has succeeded', () => expired.length > 0);
  t.same(expired, [{ rule: 'count', commands: 3, bytes: 12 }]);
});
