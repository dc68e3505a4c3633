/** How much is stored, as the triggers of `commands` count it. */
import { sql } from 'slonik';
import { z } from 'zod';
import type { StorageUse } from '../../ports/watching.ts';
import { type Connection, none } from './connection.ts';

/** Rows to be read for the sums, beyond which they are added up. */
const ROWS = 100;

/** Adds up what has been counted since the last time. Whoever does the same at the same time takes other rows. */
export async function addUpTotals(db: Connection): Promise<void> {
  await db.query(none`
    WITH counted AS (
      DELETE FROM command_totals WHERE (SELECT count(*) FROM command_totals) > ${ROWS} RETURNING *
    )
    INSERT INTO command_totals SELECT pinned, sum(commands), sum(bytes) FROM counted GROUP BY pinned`);
}

/** Of commands that have ended and are not pinned. */
export interface Totals {
  commands: number;
  /** Of their scripts, stdins and outputs. */
  bytes: number;
}

export function selectTotals(db: Connection): Promise<Totals> {
  return db.one(sql.type(z.object({ commands: z.number(), bytes: z.number() }))`
    SELECT coalesce(sum(commands), 0)::bigint AS commands, coalesce(sum(bytes), 0)::bigint AS bytes
    FROM command_totals WHERE NOT pinned`);
}

const useRow = z
  .object({ live: z.number(), ended: z.number(), pinned: z.number(), bytes: z.number(), disk_bytes: z.number() })
  .transform(
    ({ live, ended, pinned, bytes, disk_bytes: diskBytes }): StorageUse => ({
      commands: live + ended,
      pinned,
      bytes,
      diskBytes,
    }),
  );

/** What is stored of commands: without a look at those that have ended, however many there are. */
export function selectStorageUse(db: Connection): Promise<StorageUse> {
  return db.one(sql.type(useRow)`
    SELECT
      (SELECT count(*) FROM commands WHERE status IN ('QUEUED', 'EXECUTING')) AS live,
      coalesce(sum(commands), 0)::bigint AS ended,
      coalesce(sum(commands) FILTER (WHERE pinned), 0)::bigint AS pinned,
      coalesce(sum(bytes), 0)::bigint AS bytes,
      (SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
       WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname ~ '^(command|idempotency_key|node)') AS disk_bytes
    FROM command_totals`);
}
