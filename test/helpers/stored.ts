/** Commands as they are stored after their end, without having run, and how they were deleted. */
import { randomUUID } from 'node:crypto';
import type { TestDatabase } from './database.ts';

/** What is stored of a command. */
export interface Stored {
  description?: string;
  script?: string;
  durable?: boolean;
  status?: string;
  reason?: string | null;
  exitCode?: number | null;
  createdAt?: string;
  endedAt?: string;
  labels?: Record<string, string>;
  pinned?: boolean;
  createdBy?: string;
  output?: string;
}

/** Stores commands, oldest first, step by step as the journal does. @returns their uuids. */
export async function storeCommands({ rows }: Pick<TestDatabase, 'rows'>, commands: readonly Stored[]) {
  const stored = commands.map((c) => {
    const { status = 'EXECUTED', output = '' } = c;
    const ended = !['QUEUED', 'EXECUTING'].includes(status);
    return {
      uuid: randomUUID(),
      description: c.description ?? '',
      script: c.script ?? 'true',
      durable: c.durable ?? false,
      status,
      reason: ended ? (c.reason ?? 'exit') : null,
      exit_code: ended ? (c.exitCode === undefined ? 0 : c.exitCode) : null,
      created_at: c.createdAt ?? '2026-05-05T00:00:00Z',
      ended_at: ended ? (c.endedAt ?? '2026-05-05T01:00:00Z') : null,
      labels: c.labels ?? null,
      pinned: c.pinned ?? false,
      created_by: c.createdBy ?? null,
      output,
    };
  });
  const given = `jsonb_to_recordset($1) AS g (uuid uuid, description text, script text, durable boolean, status text,
    reason text, exit_code smallint, created_at timestamptz, ended_at timestamptz, labels jsonb, pinned boolean, created_by text, output text)`;
  await rows(
    `WITH stored AS (
       INSERT INTO commands (command_uuid, description, script, durable, created_at, labels, pinned, created_by, owner, output_head, output_tail)
       SELECT uuid, description, script, durable, created_at, labels, pinned, created_by, 7, 1000000, 1000 FROM ${given}
       RETURNING *
     ), printed AS (
       INSERT INTO command_output
       SELECT id, 0, 1, convert_to(output, 'UTF8') FROM ${given} JOIN stored ON command_uuid = uuid WHERE output <> ''
     )
     INSERT INTO command_search SELECT id, command_grams(description) || command_grams(left(script, 8192)) FROM stored`,
    [JSON.stringify(stored)],
  );
  await rows(
    `UPDATE commands SET status = g.status, reason = g.reason, exit_code = g.exit_code, ended_at = g.ended_at,
       output_bytes = octet_length(g.output)
     FROM ${given} WHERE command_uuid = uuid AND g.status <> 'QUEUED'`,
    [JSON.stringify(stored)],
  );
  return stored.map(({ uuid }) => uuid);
}

/** How many commands each transaction has deleted, in their order. */
export async function deletedByTransaction({ rows }: Pick<TestDatabase, 'rows'>): Promise<number[]> {
  const found = await rows('SELECT count(*)::int FROM command_events WHERE status IS NULL GROUP BY xid ORDER BY xid');
  return found.map(({ count }) => count);
}
