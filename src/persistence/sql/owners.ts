/** What waits and runs under which server. */
import { type DatabasePool, sql } from 'slonik';
import { z } from 'zod';
import type { RunOptions, StoredOutput } from '../../command.ts';
import { type Connection, none, storedOptions } from './connection.ts';
import { storedBytes } from './output.ts';
import { appendLost, storedStepCount } from './transitions.ts';

/** The numbers of the other servers that commands wait for or run under. */
export async function otherOwners(db: Connection, owner: number): Promise<readonly number[]> {
  return db.anyFirst(sql.type(z.object({ owner: z.number() }))`
    SELECT DISTINCT owner FROM commands WHERE status IN ('QUEUED', 'EXECUTING') AND owner <> ${owner}`);
}

/** A command that is to be run, as far as the supervisor has to know it. */
export interface WaitingCommand {
  uuid: string;
  durable: boolean;
  options: RunOptions;
  /** How many of its steps are stored. */
  steps: number;
}

const waitingRow = z.object({
  command_uuid: z.string(),
  durable: z.boolean(),
  options: storedOptions,
  steps: z.number(),
});
const waiting = (row: z.infer<typeof waitingRow>): WaitingCommand => ({
  uuid: row.command_uuid,
  durable: row.durable,
  options: row.options,
  steps: row.steps,
});

/** A command that executes, as far as the database knows. */
export interface ExecutingCommand extends WaitingCommand {
  stored: StoredOutput;
}

/** What an owner has running, oldest first. */
export async function executingOf(db: Connection, owner: number): Promise<ExecutingCommand[]> {
  const row = waitingRow.extend({
    stored_bytes: z.number(),
    output_head: z.number(),
    output_tail: z.number(),
  });
  const rows = await db.any(sql.type(row)`
    SELECT command_uuid, durable, options, ${storedStepCount} AS steps, ${storedBytes} AS stored_bytes, output_head, output_tail
    FROM commands c WHERE owner = ${owner} AND status = 'EXECUTING' ORDER BY id`);
  return rows.map((row) => {
    const { stored_bytes: upTo, output_head: headBytes, output_tail: tailBytes } = row;
    return { ...waiting(row), stored: { upTo, limit: { headBytes, tailBytes } } };
  });
}

/**
 * Gives what an owner had running the outcome `lost`; the output stored so far is kept. First it waits for what the server
 * that was there may have under way after all: only a later statement sees that, and goes on behind it.
 */
export async function loseExecuting(pool: DatabasePool, owner: number): Promise<void> {
  await pool.transaction(async (db) => {
    await db.query(none`SELECT FROM commands WHERE owner = ${owner} AND status = 'EXECUTING' ORDER BY id FOR UPDATE`);
    await lose(db, owner);
  });
}

async function lose(db: Connection, owner: number): Promise<void> {
  await db.query(none`
    WITH c AS (
      UPDATE commands c
      SET status = 'FAILED', reason = 'lost', error = 'the server ended while the command ran', ended_at = now(),
        output_bytes = ${storedBytes}
      WHERE owner = ${owner} AND status = 'EXECUTING'
      RETURNING id, ended_at
    ) ${appendLost}`);
}

/** Takes over the waiting commands of another owner. */
export async function adoptQueued(db: Connection, from: number, to: number): Promise<void> {
  await db.query(none`UPDATE commands SET owner = ${to} WHERE owner = ${from} AND status = 'QUEUED'`);
}

/** The waiting commands of an owner, oldest first. */
export async function queuedOf(db: Connection, owner: number): Promise<WaitingCommand[]> {
  const rows = await db.any(sql.type(waitingRow)`
    SELECT command_uuid, durable, options, 0 AS steps
    FROM commands WHERE owner = ${owner} AND status = 'QUEUED' ORDER BY id`);
  return rows.map(waiting);
}
