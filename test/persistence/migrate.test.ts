import { readdirSync } from 'node:fs';
import { Client } from 'pg';
import t from 'tap';
import { migrate } from '../../src/persistence/migrate.ts';
import { mayPass } from '../../src/persistence/pool.ts';
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
