/** The steps that commands took: rows of several, as they were stored together. */
import { sql } from 'slonik';
import { z } from 'zod';
import type { Step, Transition } from '../../command.ts';
import { admission, LOST, pathOf, START } from '../../transitions.ts';
import { type Connection, none, type SqlFragment } from './connection.ts';

/** Steps of one command that are stored together. */
export interface StepRow {
  uuid: string;
  /** How many came before them, the first admission not counted. */
  first: number;
  steps: readonly Step[];
}

/** Steps as they are stored: `until` is there where the state has it, and in no step of before it was known. */
export function stepsToJson(steps: readonly Step[]): string {
  return JSON.stringify(
    steps.map(({ event, to, at, until }) => [event, to, at, ...(until === undefined ? [] : [until])]),
  );
}

const storedSteps = z.array(
  z
    .tuple([z.string(), z.string(), z.number(), z.number().optional()])
    .transform(([event, to, at, until]): Step => ({ event, to, at, ...(until !== undefined && { until }) })),
);

/** A step that the database knows by itself, as it is stored. */
function stepAt({ event, to }: Omit<Step, 'at'>, time: SqlFragment): SqlFragment {
  return sql.fragment`json_build_array(
    ${event}::text, ${to}::text, round(extract(epoch FROM date_trunc('milliseconds', ${time})) * 1000)::bigint)`;
}

/** How many steps of a command `c` are stored. */
export const storedStepCount = sql.fragment`coalesce(
  (SELECT first_step + json_array_length(steps) FROM command_transitions
   WHERE command_id = c.id ORDER BY first_step DESC LIMIT 1), 0)`;

/** Stores steps of commands that this owner has running; those that are stored already stay as they are. */
export async function appendTransitions(db: Connection, owner: number, stepRows: readonly StepRow[]): Promise<void> {
  const rows = stepRows.map(({ uuid, first, steps }) => [uuid, first, stepsToJson(steps)]);
  // FOR KEY SHARE: a deletion would not see what is not committed, and leave it behind.
  await db.query(none`
    INSERT INTO command_transitions (command_id, first_step, steps)
    SELECT c.id, r.first_step, r.steps
    FROM ${sql.unnest(rows, ['uuid', 'int4', 'json'])} AS r (command_uuid, first_step, steps)
    JOIN commands c ON c.command_uuid = r.command_uuid
    WHERE c.owner = ${owner} AND c.status = 'EXECUTING'
    FOR KEY SHARE OF c
    ON CONFLICT DO NOTHING`);
}

/**
 * Stores that an owner has started what it had running, where its server had no time to store a step: of commands without
 * any, and of those that were lost before, whose last step that is.
 */
export async function appendStarts(db: Connection, owner: number): Promise<void> {
  const at = sql.fragment`c.started_at`;
  await db.query(none`
    INSERT INTO command_transitions (command_id, first_step, steps)
    SELECT c.id, ${storedStepCount}, CASE c.reruns
        WHEN 0 THEN json_build_array(${stepAt(START, at)})
        ELSE json_build_array(${stepAt(admission('admit', 0), at)}, ${stepAt(START, at)})
      END
    FROM commands c
    WHERE c.owner = ${owner} AND c.status = 'EXECUTING' AND coalesce(
      (SELECT steps -> -1 ->> 0 FROM command_transitions WHERE command_id = c.id ORDER BY first_step DESC LIMIT 1),
      ${LOST.event}) = ${LOST.event}
    FOR KEY SHARE
    ON CONFLICT DO NOTHING`);
}

/** What follows a statement that finds commands lost and returns them as `c`: stores that as a step. */
export const appendLost = (step: Omit<Step, 'at'>) => sql.fragment`
  INSERT INTO command_transitions (command_id, first_step, steps)
  SELECT c.id, ${storedStepCount}, json_build_array(${stepAt(step, sql.fragment`c.ended_at`)}) FROM c`;

const pathRow = z.object({ created_at: z.number(), steps: storedSteps.nullable() });

/** The path of a command, oldest step first. Null when there is no such command. */
export async function selectTransitions(db: Connection, uuid: string): Promise<Transition[] | null> {
  const rows = await db.any(sql.type(pathRow)`
    SELECT c.created_at, t.steps
    FROM commands c LEFT JOIN command_transitions t ON t.command_id = c.id
    WHERE c.command_uuid = ${uuid} ORDER BY t.first_step`);
  const [first] = rows;
  if (first === undefined) return null;
  return pathOf(
    first.created_at,
    rows.flatMap(({ steps }) => steps ?? []),
  );
}
