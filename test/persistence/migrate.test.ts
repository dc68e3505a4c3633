import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runner } from 'node-pg-migrate';
import { Client } from 'pg';
import t from 'tap';
import { migrate } from '../../src/persistence/migrate.ts';
import { mayPass, openPool, Patience } from '../../src/persistence/pool.ts';
import { findHolder } from '../../src/persistence/sql/idempotency-keys.ts';
import { createDatabase } from '../helpers/cluster.ts';

t.test('servers that start at once on an empty database migrate it once', async (t) => {
  const url = await createDatabase(t, 'template0');
  await Promise.all(Array.from({ length: 5 }, () => migrate(url)));
  const client = new Client(url);
  await client.connect();
  t.teardown(() => client.end());
  const { rows } = await client.query('SELECT name FROM migrations ORDER BY id');
  const files = readdirSync(new URL('../../postgres', import.meta.url)).map((file) => file.replace('.sql', ''));
  t.same(
    rows.map(({ name }) => name),
    files.sort(),
  );
});

t.test(
  'a table of migrations of another program, which the connection looks through first, is left alone',
  async (t) => {
    const url = new URL(await createDatabase(t));
    const client = new Client(url.href);
    await client.connect();
    t.teardown(() => client.end());
    await client.query('CREATE SCHEMA other; CREATE TABLE other.migrations (id int, migration text)');
    url.searchParams.set('options', '-c search_path=other,public');
    await migrate(url.href);
    t.same((await client.query('SELECT FROM other.migrations')).rows, []);
  },
);

t.test('a migration that waits too long for a lock gives way, and is worth another try', async (t) => {
  const url = await createDatabase(t);
  const client = new Client(url);
  await client.connect();
  t.teardown(() => client.end());
  await client.query('DELETE FROM migrations WHERE id = (SELECT max(id) FROM migrations)');
  await client.query('BEGIN; LOCK commands, migrations');
  const error = await migrate(url).catch((error) => error);
  t.equal(error.code, '55P03');
  t.ok(mayPass(error));
});

t.test('a migration that fails is told in one sentence, and changes nothing', async (t) => {
  const url = await createDatabase(t, 'template0');
  const client = new Client(url);
  await client.connect();
  t.teardown(() => client.end());
  await client.query('CREATE TABLE command_output (in_the_way int)');
  await t.rejects(migrate(url), { message: /^the database could not be migrated: .*command_output.* already exists/ });
  const { rows } = await client.query("SELECT to_regclass('commands') AS commands");
  t.equal(rows[0].commands, null);
});

t.test(
  "what was stored before there were callers is nobody's, and a key of then is that of who has no name",
  async (t) => {
    const url = await createDatabase(t, 'template0');
    const client = new Client(url);
    await client.connect();
    t.teardown(() => client.end());
    const dir = fileURLToPath(new URL('../../postgres', import.meta.url));
    await runner({ databaseUrl: url, dir, migrationsTable: 'migrations', direction: 'up', count: 10, log: () => {} });
    const { rows: before } = await client.query('SELECT name FROM migrations ORDER BY id DESC LIMIT 1');
    t.same(before, [{ name: '0010_progress' }]);
    const uuid = '00000000-0000-4000-8000-000000000001';
    const idempotency = { key: 'old', fingerprint: Buffer.alloc(32) };
    await client.query(
      `INSERT INTO commands (command_uuid, script, durable, created_at, owner) VALUES ($1, 'true', false, now(), 1)`,
      [uuid],
    );
    await client.query("INSERT INTO idempotency_keys (key, fingerprint, command_uuid) VALUES ('old', $1, $2)", [
      idempotency.fingerprint,
      uuid,
    ]);
    await migrate(url);
    const { rows } = await client.query('SELECT created_by, stopped_by FROM commands');
    t.same(rows, [{ created_by: null, stopped_by: null }]);
    const pool = await openPool(url, { maxPoolSize: 1, patience: new Patience(60_000) });
    t.teardown(() => pool.end());
    const inAnHour = Date.now() + 3_600_000;
    t.equal(await findHolder(pool, idempotency, 'ann', inAnHour), null);
    t.same(await findHolder(pool, idempotency, null, inAnHour), { uuid, isSame: true });
  },
);
