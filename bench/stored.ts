/** Commands that are stored already when something is measured. */
import type { Client } from 'pg';

/**
 * Stores ended commands, each with an output, steps and something to be found by, until there are `total`.
 * @param areFound whether they are really found by their descriptions, which takes longer.
 */
export async function fillUp(db: Client, total: number, areFound = false): Promise<void> {
  // To add a million to it takes longer than to make it anew.
  const { rows } = await db.query("SELECT indexdef FROM pg_indexes WHERE indexname = 'command_search_grams'");
  if (areFound) await db.query('DROP INDEX command_search_grams');
  await db.query(
    `WITH made AS (
       SELECT n, CASE WHEN n % 100 = 0 THEN 'STOPPED' WHEN n % 20 = 0 THEN 'FAILED' ELSE 'EXECUTED' END AS status
       FROM generate_series((SELECT count(*) FROM commands) + 1, $1::bigint) n
     ), stored AS (
       INSERT INTO commands (command_uuid, description, script, durable, status, reason, exit_code, created_at,
         started_at, ended_at, duration_ms, output_bytes, owner)
       SELECT gen_random_uuid(), 'number ' || n, 'echo hi', false, status,
         CASE WHEN status = 'STOPPED' THEN 'stop' ELSE 'exit' END, CASE status WHEN 'EXECUTED' THEN 0 WHEN 'FAILED' THEN 1 END,
         now(), now(), now(), 1.5, 3, 1
       FROM made ORDER BY n
       RETURNING id, description
     ), searchable AS (
       INSERT INTO command_search (command_id, grams) SELECT id, CASE WHEN $2 THEN command_grams(description) ELSE '{1}' END FROM stored
     ), stepped AS (
       INSERT INTO command_transitions (command_id, first_step, steps) SELECT id, 1, '[]' FROM stored
     )
     INSERT INTO command_output (command_id, byte_offset, stream, data)
     SELECT id, 0, 1, convert_to(E'hi\\n', 'UTF8') FROM stored`,
    [total, areFound],
  );
  if (areFound) await db.query(rows[0].indexdef);
  // The triggers count what ends, and these were stored as ended.
  await db.query('DELETE FROM command_totals');
  await db.query(
    `INSERT INTO command_totals
     SELECT pinned, count(*), sum(kept_bytes) FROM commands WHERE ended_at IS NOT NULL GROUP BY pinned`,
  );
  // What PostgreSQL would do by itself within minutes, in the middle of what is measured.
  for (const table of ['commands', 'command_output', 'command_search', 'command_transitions'])
    await db.query(`VACUUM ANALYZE ${table}`);
  await db.query('CHECKPOINT');
}
