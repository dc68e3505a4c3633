import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { sql } from 'slonik';
import t, { type Test } from 'tap';
import { createClient } from '../../src/persistence/client.ts';
import { endSessions, SessionLingers } from '../../src/persistence/fence.ts';
import { openPool, Patience } from '../../src/persistence/pool.ts';
import { openDatabase } from '../helpers/database.ts';
import { until } from '../helpers/until.ts';

async function connect(t: Test, url: string, name: string): Promise<Client> {
  const client = createClient(url, name, 60_000);
  await client.connect();
  t.teardown(() => client.end());
  return client;
}

const querying = (client: Client) => (text: string, values: unknown[]) => client.query(text, values);

t.test('sessions have their names, whatever the URL of the database says', async (t) => {
  const url = `${(await openDatabase(t)).url}?application_name=something`;
  const client = await connect(t, url, 'a client');
  const pool = await openPool(url, { maxPoolSize: 1, patience: new Patience(60_000), exclusiveName: 'a pool' });
  t.teardown(() => pool.end());
  const name = "SELECT current_setting('application_name') AS name";
  t.same((await client.query(name)).rows, [{ name: 'a client' }]);
  t.same(await pool.anyFirst(sql.unsafe`SELECT current_setting('application_name')`), ['a pool']);
});

t.test('a server whose URL asks for a role finds and ends its earlier sessions, and keeps the role', async (t) => {
  const { url, rows } = await openDatabase(t);
  const role = `role_${randomUUID().replaceAll('-', '')}`;
  await rows(`CREATE ROLE ${role}`);
  t.teardown(async () => {
    const client = new Client(url);
    await client.connect();
    await client.query(`DROP ROLE ${role}`);
    await client.end();
  });
  const as = new URL(url);
  as.searchParams.set('options', `-c role=${role}`);
  const earlier = await connect(t, as.href, 'one at a time');
  const ended = new Promise((resolve) => earlier.once('end', resolve));
  const later = await connect(t, as.href, 'one at a time');
  await endSessions(querying(later), 'one at a time');
  await ended;
  t.same((await later.query('SELECT current_user AS role')).rows, [{ role }]);
});

t.test('of the sessions of a name only that one is ended which holds a lock, not who waits for it', async (t) => {
  const { url } = await openDatabase(t);
  const [holder, waiter, later] = [
    await connect(t, url, 'one'),
    await connect(t, url, 'one'),
    await connect(t, url, 'later'),
  ];
  await holder.query('SELECT pg_advisory_lock(1, 2)');
  const ended = new Promise((resolve) => holder.once('end', resolve));
  const waited = waiter.query('SELECT pg_advisory_lock(1, 2)');
  const isWaiting = 'SELECT FROM pg_locks WHERE NOT granted AND classid = 1 AND objid = 2';
  await until('it waits', async () => (await later.query(isWaiting)).rows.length > 0);
  await endSessions(querying(later), 'one', [1, 3]);
  t.equal((await holder.query('SELECT 1')).rows.length, 1, 'another lock is not meant');
  await endSessions(querying(later), 'one', [1, 2]);
  await ended;
  await waited;
  t.equal((await waiter.query('SELECT 1')).rows.length, 1, 'who waited has it now');
});

t.test('an earlier session that does not end is told as such', async (t) => {
  const { url } = await openDatabase(t);
  const client = await connect(t, url, 'later');
  // Stands in for a session that PostgreSQL can't end, in a write to a disk that hangs for example.
  const lingering = async (text: string, values: unknown[]) =>
    text.startsWith('SELECT') ? { rows: [{}] } : client.query(text, values);
  t.type(await endSessions(lingering, 'earlier').catch((error) => error), SessionLingers);
});
