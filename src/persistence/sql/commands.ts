/** The life of commands, from `QUEUED` to their outcome; set-based: each statement serves a whole batch. */
import { sql } from 'slonik';
import { z } from 'zod';
import type { NewCommand, Outcome, OutputLimit } from '../../command.ts';
import type { Begun } from '../../ports/journal.ts';
import { inputsToJson, shownInputs } from '../../run-inputs.ts';
import { optionsToJson } from '../../run-options.ts';
import { commandGrams } from '../grams.ts';
import { type Connection, none } from './connection.ts';
import { claimsOf } from './idempotency-keys.ts';
import { NOBODY } from './owners.ts';
import { inputColumns, inputsOf, selectInputs } from './requests.ts';
import { type StepRow, stepsToJson } from './transitions.ts';

const uuidOnly = sql.type(z.object({ command_uuid: z.string() }));

const begunRow = z.object({
  command_uuid: z.string(),
  script: z.string(),
  output_head: z.number(),
  output_tail: z.number(),
  output_base: z.number(),
  waits_since: z.number().nullable(),
  ...inputColumns,
});

export interface Begin {
  uuid: string;
  startedAt: Date;
}

export interface Finish {
  uuid: string;
  outcome: Outcome;
  endedAt: Date;
  /** All bytes it printed. */
  outputBytes: number;
  /** What is not stored of its path; the last step, at least. */
  path: StepRow;
}

/** An object as JSON; null when it says nothing. */
function orNull(object: object): string | null {
  const json = JSON.stringify(object);
  return json === '{}' ? null : json;
}

/** A new command, and when its client stops waiting for it. */
export interface Insert {
  command: NewCommand;
  /** By the clock of the database, in ms since the epoch. */
  deadline: number;
}

/** What became of new commands, by their uuids. */
export interface Inserted {
  stored: ReadonlySet<string>;
  /** Not stored, since another command has their key. */
  taken: ReadonlySet<string>;
}

const insertedRow = z.object({ command_uuid: z.string(), is_stored: z.boolean() });

/**
 * Stores new commands as `QUEUED`, with their keys; one that is stored already stays as it is. One whose deadline has
 * passed is not stored: its client was told so, and the statement may have lain in the queue of a database that did not
 * answer.
 */
export async function insertCommands(db: Connection, owner: number, inserts: readonly Insert[]): Promise<Inserted> {
  const rows = inserts.map(({ command: c, deadline }) => [
    c.uuid,
    c.description,
    c.script,
    c.durable,
    JSON.stringify(optionsToJson(c.options)),
    orNull(inputsToJson(shownInputs(c))),
    c.inputs.stdin === undefined ? null : Buffer.from(c.inputs.stdin),
    orNull(c.labels),
    c.rerunOf,
    c.createdBy,
    c.pinned,
    c.forAnyNode ? NOBODY : owner,
    c.createdAt.toISOString(),
    new Date(deadline).toISOString(),
  ]);
  const grams = inserts.map(({ command }) => [command.uuid, `{${commandGrams(command)}}`]);
  const uuids = inserts.map(({ command }) => command.uuid);
  const claims = claimsOf(inserts, sql.fragment`n.deadline > clock_timestamp()`);
  // ORDER BY: ids must follow the order of admission.
  const found = await db.any(sql.type(insertedRow)`
    WITH ${claims.ctes} inserted AS (
      INSERT INTO commands (command_uuid, description, script, durable, options, inputs, stdin, labels, rerun_of, created_by, pinned, created_at, owner)
      SELECT n.command_uuid, n.description, n.script, n.durable, n.options, n.inputs, n.stdin, n.labels, n.rerun_of, n.created_by, n.pinned, n.created_at, n.owner
      FROM ${sql.unnest(rows, ['uuid', 'text', 'text', 'bool', 'jsonb', 'jsonb', 'bytea', 'jsonb', 'uuid', 'text', 'bool', 'int4', 'timestamptz', 'timestamptz'])}
        WITH ORDINALITY AS n (command_uuid, description, script, durable, options, inputs, stdin, labels, rerun_of, created_by, pinned, owner, created_at, deadline, place)
      WHERE ${claims.mayBeStored}
      ORDER BY n.place
      ON CONFLICT (command_uuid) DO NOTHING
      RETURNING id, command_uuid
    ), searchable AS (
      INSERT INTO command_search (command_id, grams)
      SELECT i.id, g.grams::smallint[]
      FROM inserted i JOIN ${sql.unnest(grams, ['uuid', 'text'])} AS g (command_uuid, grams) USING (command_uuid)
    )
    SELECT command_uuid, true AS is_stored FROM inserted
    UNION ALL
    SELECT command_uuid, true FROM commands WHERE command_uuid = ANY(${sql.array(uuids, 'uuid')})
    ${claims.taken}`);
  const those = (isStored: boolean) =>
    new Set(found.filter((row) => row.is_stored === isStored).map((row) => row.command_uuid));
  return { stored: those(true), taken: those(false) };
}

/**
 * Marks waiting commands of this owner as `EXECUTING`, on a node of this name. @returns what to run, by uuid.
 * One that is `EXECUTING` already counts: then the answer to an earlier attempt got lost.
 * @param limit what is kept of their output; one that runs again keeps what it had, since its middle may be dropped already.
 */
export async function beginCommands(
  db: Connection,
  owner: number,
  begins: readonly Begin[],
  limit: OutputLimit,
  node: string | null,
): Promise<Map<string, Begun>> {
  const rows = begins.map((b) => [b.uuid, b.startedAt.toISOString()]);
  const begun = await db.any(sql.type(begunRow)`
    UPDATE commands c SET status = 'EXECUTING', started_at = b.started_at,
      output_head = coalesce(c.output_head, ${limit.headBytes}), output_tail = coalesce(c.output_tail, ${limit.tailBytes}),
      node = ${node}
    FROM ${sql.unnest(rows, ['uuid', 'timestamptz'])} AS b (command_uuid, started_at)
    WHERE c.command_uuid = b.command_uuid AND c.owner = ${owner} AND c.status IN ('QUEUED', 'EXECUTING')
    RETURNING c.command_uuid, c.script, c.output_head, c.output_tail, c.output_base,
      CASE WHEN c.reruns = 0 THEN c.created_at END AS waits_since, ${selectInputs}`);
  return new Map(
    begun.map(({ command_uuid: uuid, script, output_base: base, waits_since: waitsSince, ...row }) => {
      const limit = { headBytes: row.output_head, tailBytes: row.output_tail };
      return [uuid, { script, output: { upTo: base, base, limit }, waitsSince, ...inputsOf(row) }];
    }),
  );
}

/**
 * Stores outcomes, each with the end of the path to it. A command that has one already keeps it. One that ends before it runs
 * again keeps the output of the runs before.
 */
export async function finishCommands(db: Connection, owner: number, finishes: readonly Finish[]): Promise<void> {
  const rows = finishes.map(({ uuid, outcome, endedAt, outputBytes, path }) => [
    uuid,
    outcome.status,
    outcome.reason,
    outcome.exitCode,
    outcome.signal,
    outcome.error,
    outcome.durationMs,
    outcome.stoppedBy,
    endedAt.toISOString(),
    outputBytes,
    path.first,
    stepsToJson(path.steps),
  ]);
  await db.query(none`
    WITH finished AS (
      UPDATE commands c
      SET status = f.status, reason = f.reason, exit_code = f.exit_code, signal = f.signal, error = f.error,
        duration_ms = f.duration_ms, stopped_by = f.stopped_by, ended_at = f.ended_at,
        output_bytes = greatest(f.output_bytes, c.output_base)
      FROM ${sql.unnest(rows, ['uuid', 'text', 'text', 'int2', 'text', 'text', 'float8', 'text', 'timestamptz', 'int8', 'int4', 'json'])}
        AS f (command_uuid, status, reason, exit_code, signal, error, duration_ms, stopped_by, ended_at, output_bytes, first_step, steps)
      WHERE c.command_uuid = f.command_uuid AND c.owner = ${owner} AND c.status IN ('QUEUED', 'EXECUTING')
      RETURNING c.id, f.first_step, f.steps
    )
    INSERT INTO command_transitions (command_id, first_step, steps)
    SELECT id, first_step, steps FROM finished ON CONFLICT DO NOTHING`);
}

/** Pins a command, or takes the pin off. @returns whether it was there. */
export async function pinCommand(db: Connection, uuid: string, pinned: boolean): Promise<boolean> {
  const changed = await db.anyFirst(uuidOnly`
    UPDATE commands SET pinned = ${pinned} WHERE command_uuid = ${uuid} RETURNING command_uuid`);
  return changed.length > 0;
}

/** Deletes a command with its output and its steps. @returns whether it was there. */
export async function deleteCommand(db: Connection, uuid: string): Promise<boolean> {
  const deleted = await db.anyFirst(uuidOnly`DELETE FROM commands WHERE command_uuid = ${uuid} RETURNING command_uuid`);
  return deleted.length > 0;
}
