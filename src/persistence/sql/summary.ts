/** How commands stand, without what they were and printed. */
import { sql } from 'slonik';
import { z } from 'zod';
import { type CommandSummary, REASONS, STATUSES } from '../../command.ts';
import type { Connection } from './connection.ts';
import { shownAndDropped } from './output.ts';

const summaryRow = z
  .object({
    status: z.enum(STATUSES),
    reason: z.enum(REASONS).nullable(),
    exit_code: z.number().nullable(),
    signal: z.string().nullable(),
    error: z.string().nullable(),
    started_at: z.number().nullable(),
    ended_at: z.number().nullable(),
    duration_ms: z.number().nullable(),
    stopped_by: z.string().nullable(),
    total_bytes: z.number(),
    dropped_bytes: z.number(),
  })
  .transform(
    (row): CommandSummary => ({
      status: row.status,
      reason: row.reason,
      exitCode: row.exit_code,
      signal: row.signal,
      error: row.error,
      startedAt: row.started_at,
      endedAt: row.ended_at,
      durationMs: row.duration_ms,
      stoppedBy: row.stopped_by,
      outputBytes: row.total_bytes,
      outputTruncated: row.dropped_bytes > 0,
    }),
  );

/** Null when there is no such command. */
export function selectSummary(db: Connection, uuid: string): Promise<CommandSummary | null> {
  return db.maybeOne(sql.type(summaryRow)`
    SELECT c.status, c.reason, c.exit_code, c.signal, c.error, c.started_at, c.ended_at, c.duration_ms, c.stopped_by,
      shown.total_bytes, gap.dropped_bytes
    FROM commands c
    ${shownAndDropped}
    WHERE c.command_uuid = ${uuid}`);
}
