import { readFileSync } from 'node:fs';
import { Client } from 'pg';
import t from 'tap';
import { createDatabase } from '../helpers/cluster.ts';

const text = readFileSync(new URL('../../docs/scaling.md', import.meta.url), 'utf8');
const [, partitioning = ''] = /^```sql\n(.*?)^```$/ms.exec(text) ?? [];

t.test('the output is partitioned by the statements of the docs, and goes with its partition', async (t) => {
  const client = new Client(await createDatabase(t));
  await client.connect();
  t.teardown(() => client.end());
  /** Stores ended commands, with an output each. @returns their ids. */
  const store = async (count: number): Promise<number[]> => {
    const { rows } = await client.query(
      `INSERT INTO commands (command_uuid, script, durable, created_at, owner)
       SELECT gen_random_uuid(), 'echo', false, now(), 1 FROM generate_series(1, $1::int) RETURNING id::int`,
      [count],
    );
    const ids = rows.map(({ id }) => id);
    await client.query(
      "INSERT INTO command_output (command_id, byte_offset, stream, data) SELECT unnest($1::bigint[]), 0, 1, 'hi'",
      [ids],
    );
    await client.query(
      "UPDATE commands SET status = 'EXECUTED', reason = 'exit', exit_code = 0, ended_at = now() WHERE id = ANY($1)",
      [ids],
    );
    return ids;
  };
  const places = async () => {
    const { rows } = await client.query(
      'SELECT tableoid::regclass::text AS place, count(*)::int FROM command_output GROUP BY 1 ORDER BY 1',
    );
    return Object.fromEntries(rows.map(({ place, count }) => [place, count]));
  };

  await store(3);
  await client.query(partitioning);
  await store(1);
  t.same(await places(), { command_output_first: 4 }, 'what there was is there, and so is the rest of its million');

  await client.query("SELECT setval(pg_get_serial_sequence('commands', 'id'), 1000000)");
  const [pinned] = await store(5);
  await client.query("SELECT setval(pg_get_serial_sequence('commands', 'id'), 3000000)");
  await store(1);
  t.same(await places(), { command_output_first: 4, command_output_1: 5, command_output_rest: 1 });

  await client.query('UPDATE commands SET pinned = true WHERE id = $1', [pinned]);
  await t.rejects(client.query('SELECT drop_output_partition(1)'), /a command of partition 1 lives or is pinned/);
  await client.query('UPDATE commands SET pinned = false WHERE id = $1', [pinned]);
  const { rows: dropped } = await client.query('SELECT drop_output_partition(1)::int AS dropped');
  t.same(dropped, [{ dropped: 5 }]);
  t.same(await places(), { command_output_first: 4, command_output_rest: 1 });
  const { rows: left } = await client.query(
    'SELECT (SELECT count(*)::int FROM commands) AS stored, sum(commands)::int AS counted FROM command_totals',
  );
  t.same(left, [{ stored: 5, counted: 5 }], 'what is counted is what is left');

  await client.query('DELETE FROM commands');
  t.same(await places(), {}, 'a command takes its output along, wherever that is');
  await client.query('SELECT make_output_partitions()');
});
