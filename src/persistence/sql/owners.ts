/** What waits and runs under which server. */
import { sql } from 'slonik';
import { z } from 'zod';
import type { RunOptions, StoredOutput } from '../../command.ts';
import { LOST, LOST_AND_RERUN } from '../../transitions.ts';
import { type Connection, none, storedOptions } from './connection.ts';
import { storedBytes } from './output.ts';
import { appendLost, storedStepCount } from './transitions.ts';

/** How many waiting commands change their owner at once: of very many that must not take one long transaction. */
const ADOPTED = 1000;
/** How often a command that is to run again does: one that takes its machine down with it must not take all of them. */
const MOST_RERUNS = 3;

/** The owner of commands that no node of a cluster has taken. Servers have numbers from 1 on. */
export const NOBODY = 0;

/** The numbers of the other servers that commands wait for or run under. */
export async function otherOwners(db: Connection, owner: number): Promise<readonly number[]> {
  return db.anyFirst(sql.type(z.object({ owner: z.number() }))`
    SELECT DISTINCT owner FROM commands WHERE status IN ('QUEUED', 'EXECUTING') AND owner > ${NOBODY} AND owner <> ${owner}`);
}

/** A command that is to be run, as far as the supervisor has to know it. */
export interface WaitingCommand {
  uuid: string;
  durable: boolean;
  options: RunOptions;
  /** How many of its steps are stored. */
  steps: number;
}

export const waitingRow = z.object({
  command_uuid: z.string(),
  durable: z.boolean(),
  options: storedOptions,
  steps: z.number(),
});
export const waiting = (row: z.infer<typeof waitingRow>): WaitingCommand => ({
  uuid: row.command_uuid,
  durable: row.durable,
  options: row.options,
  steps: row.steps,
});

/** How many steps of a waiting command `c` are stored: none, unless it is to be run again. */
export const stepsOfWaiting = sql.fragment`CASE WHEN c.reruns = 0 THEN 0 ELSE ${storedStepCount} END`;

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
    output_base: z.number(),
  });
  const rows = await db.any(sql.type(row)`
    SELECT command_uuid, durable, options, ${storedStepCount} AS steps, ${storedBytes} AS stored_bytes, output_head, output_tail, output_base
    FROM commands c WHERE owner = ${owner} AND status = 'EXECUTING' ORDER BY id`);
  return rows.map((row) => {
    const { stored_bytes: upTo, output_base: base, output_head: headBytes, output_tail: tailBytes } = row;
    return { ...waiting(row), stored: { upTo, base, limit: { headBytes, tailBytes } } };
  });
}

/**
 * Gives what an owner had running the outcome `lost`, or to another owner to be run again where its client wants that; the
 * output stored so far is kept. First it waits for what the server that was there may have under way after all: only a
 * later statement sees that, and goes on behind it.
 * @returns what is to be run again.
 */
export async function loseExecuting(db: Connection, owner: number, to: number): Promise<WaitingCommand[]> {
  await db.query(none`SELECT FROM commands WHERE owner = ${owner} AND status = 'EXECUTING' ORDER BY id FOR UPDATE`);
  const rerun = await db.any(sql.type(waitingRow)`
    WITH c AS (
      UPDATE commands c
      SET status = 'QUEUED', owner = ${to}, started_at = NULL, reruns = reruns + 1, output_base = ${storedBytes}
      WHERE owner = ${owner} AND status = 'EXECUTING' AND options ->> 'on_lost' = 'rerun' AND reruns < ${MOST_RERUNS}
      RETURNING id, command_uuid, durable, options, now() AS ended_at, ${storedStepCount} + 1 AS steps
    ), path AS (
      ${appendLost(LOST_AND_RERUN)}
    ) SELECT command_uuid, durable, options, steps FROM c ORDER BY id`);
  await db.query(none`
    WITH c AS (
      UPDATE commands c
      SET status = 'FAILED', reason = 'lost', error = CASE reruns
          WHEN 0 THEN 'the server ended while the command ran'
          ELSE 'the server ended while the command ran, as it had ' || reruns || ' times before'
        END, ended_at = now(),
        output_bytes = ${storedBytes}
      WHERE owner = ${owner} AND status = 'EXECUTING'
      RETURNING id, ended_at
    ) ${appendLost(LOST)}`);
  return rerun.map(waiting);
}

/** Gives waiting commands of one owner to another. @returns those, at most `ADOPTED` of them: there may be more. */
export async function adoptQueued(db: Connection, from: number, to: number): Promise<WaitingCommand[]> {
  const rows = await db.any(sql.type(waitingRow)`
    UPDATE commands c SET owner = ${to}
    WHERE id IN (SELECT id FROM commands WHERE owner = ${from} AND status = 'QUEUED' ORDER BY id LIMIT ${ADOPTED})
    RETURNING command_uuid, durable, options, ${stepsOfWaiting} AS steps`);
  return rows.map(waiting);
}

/** The waiting commands of an owner, oldest first. */
export async function queuedOf(db: Connection, owner: number): Promise<WaitingCommand[]> {
  const rows = await db.any(sql.type(waitingRow)`
    SELECT command_uuid, durable, options, ${stepsOfWaiting} AS steps
    FROM commands c WHERE owner = ${owner} AND status = 'QUEUED' ORDER BY id`);
  return rows.map(waiting);
}
