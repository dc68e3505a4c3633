/** All SQL on commands and their output, set-based: each statement serves a whole batch. */
import { type CommonQueryMethods, sql } from 'slonik';
import { z } from 'zod';
import {
  type CommandRecord,
  droppedLine,
  type NewCommand,
  type Outcome,
  type OutputLimit,
  REASONS,
  type RunOptions,
  SCRIPT_MAX_BYTES,
  STATUSES,
  type StoredOutput,
  type Stream,
} from '../command.ts';
import type { CommandFilter, OutputPart, OutputQuery } from '../ports.ts';
import { OptionsJson, optionsFromJson, optionsToJson } from '../run-options.ts';

/** Options as PostgreSQL gives them. */
const storedOptions = OptionsJson.transform(optionsFromJson);

/** Where statements run: the pool, or a transaction of it. */
export type Connection = Pick<CommonQueryMethods, 'any' | 'anyFirst' | 'maybeOne' | 'maybeOneFirst' | 'query'>;

const none = sql.type(z.object({}));
const uuidOnly = sql.type(z.object({ command_uuid: z.string() }));

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
}

/** A part of the output of one command that is not kept. */
export interface Cut {
  uuid: string;
  /** Places in the whole output. */
  from: number;
  upTo: number;
}

/** A piece of the output of one command, from one stream. */
export interface OutputRow {
  uuid: string;
  /** Place of its first byte in the whole output of the command. */
  offset: number;
  stream: Stream;
  bytes: Uint8Array;
}

const STREAM_NUMBER: Record<Stream, number> = { stdout: 1, stderr: 2 };

/** Where the stored output of a command `c` ends. */
const storedBytes = sql.fragment`coalesce(
  (SELECT byte_offset + octet_length(data) FROM command_output
   WHERE command_id = c.id ORDER BY byte_offset DESC LIMIT 1), 0)`;

/** A new command, and when its client stops waiting for it. */
export interface Insert {
  command: NewCommand;
  /** By the clock of the database, in ms since the epoch. */
  deadline: number;
}

/**
 * Stores new commands as `QUEUED`; one that is stored already stays as it is. One whose deadline has passed is not stored:
 * its client was told so, and the statement may have lain in the queue of a database that did not answer.
 * @returns the uuids of those that are stored.
 */
export async function insertCommands(
  db: Connection,
  owner: number,
  inserts: readonly Insert[],
): Promise<ReadonlySet<string>> {
  const rows = inserts.map(({ command: c, deadline }) => [
    c.uuid,
    c.description,
    c.script,
    c.durable,
    JSON.stringify(optionsToJson(c.options)),
    c.createdAt.toISOString(),
    new Date(deadline).toISOString(),
  ]);
  const uuids = inserts.map(({ command }) => command.uuid);
  // ORDER BY: ids must follow the order of admission.
  const stored = await db.anyFirst(uuidOnly`
    WITH inserted AS (
      INSERT INTO commands (command_uuid, description, script, durable, options, created_at, owner)
      SELECT n.command_uuid, n.description, n.script, n.durable, n.options, n.created_at, ${owner}
      FROM ${sql.unnest(rows, ['uuid', 'text', 'text', 'bool', 'jsonb', 'timestamptz', 'timestamptz'])}
        WITH ORDINALITY AS n (command_uuid, description, script, durable, options, created_at, deadline, place)
      WHERE n.deadline > clock_timestamp()
      ORDER BY n.place
      ON CONFLICT (command_uuid) DO NOTHING
      RETURNING command_uuid
    )
    SELECT command_uuid FROM inserted
    UNION ALL
    SELECT command_uuid FROM commands WHERE command_uuid = ANY(${sql.array(uuids, 'uuid')})`);
  return new Set(stored);
}

/**
 * Marks waiting commands of this owner as `EXECUTING`. @returns their scripts by uuid.
 * One that is `EXECUTING` already counts: then the answer to an earlier attempt got lost.
 */
export async function beginCommands(
  db: Connection,
  owner: number,
  begins: readonly Begin[],
  limit: OutputLimit,
): Promise<Map<string, string>> {
  const rows = begins.map((b) => [b.uuid, b.startedAt.toISOString()]);
  const begun = await db.any(sql.type(z.object({ command_uuid: z.string(), script: z.string() }))`
    UPDATE commands c SET status = 'EXECUTING', started_at = b.started_at,
      output_head = ${limit.headBytes}, output_tail = ${limit.tailBytes}
    FROM ${sql.unnest(rows, ['uuid', 'timestamptz'])} AS b (command_uuid, started_at)
    WHERE c.command_uuid = b.command_uuid AND c.owner = ${owner} AND c.status IN ('QUEUED', 'EXECUTING')
    RETURNING c.command_uuid, c.script`);
  return new Map(begun.map((row) => [row.command_uuid, row.script]));
}

/** Appends output; pieces that are stored already stay as they are. */
export async function appendOutput(db: Connection, pieces: readonly OutputRow[]): Promise<void> {
  // All bytes as one binary parameter, cut up by the database: an array of bytea travels as hex, at half the speed.
  let start = 1;
  const rows = pieces.map(({ uuid, offset, stream, bytes }) => {
    const row = [uuid, offset, STREAM_NUMBER[stream], start, bytes.length];
    start += bytes.length;
    return row;
  });
  const blob = Buffer.concat(pieces.map((piece) => piece.bytes));
  await db.query(none`
    INSERT INTO command_output (command_id, byte_offset, stream, data)
    SELECT c.id, p.byte_offset, p.stream, substring(${sql.binary(blob)}::bytea FROM p.start FOR p.length)
    FROM ${sql.unnest(rows, ['uuid', 'int8', 'int2', 'int4', 'int4'])}
      AS p (command_uuid, byte_offset, stream, start, length)
    JOIN commands c ON c.command_uuid = p.command_uuid
    ON CONFLICT DO NOTHING`);
}

const cutRows = (cuts: readonly Cut[]) =>
  sql.fragment`${sql.unnest(
    cuts.map(({ uuid, from, upTo }) => [uuid, from, upTo]),
    ['uuid', 'int8', 'int8'],
  )} AS cut (command_uuid, start, up_to) JOIN commands c ON c.command_uuid = cut.command_uuid`;

/** Deletes rows that lie wholly in what is not kept. */
export async function dropOutput(db: Connection, cuts: readonly Cut[]): Promise<void> {
  await db.query(none`
    DELETE FROM command_output o USING ${cutRows(cuts)}
    WHERE o.command_id = c.id AND o.byte_offset >= cut.start AND o.byte_offset < cut.up_to
      AND o.byte_offset + octet_length(o.data) <= cut.up_to`);
}

/** Deletes what is not kept to the byte. */
export async function cutOutput(db: Connection, cuts: readonly Cut[]): Promise<void> {
  await dropOutput(db, cuts);
  await db.query(none`
    UPDATE command_output o
    SET byte_offset = cut.up_to, data = substring(o.data FROM (cut.up_to - o.byte_offset + 1)::int)
    FROM ${cutRows(cuts)}
    WHERE o.command_id = c.id AND o.byte_offset >= cut.start AND o.byte_offset < cut.up_to`);
}

/** Stores outcomes. A command that has one already keeps it. */
export async function finishCommands(db: Connection, owner: number, finishes: readonly Finish[]): Promise<void> {
  const rows = finishes.map(({ uuid, outcome, endedAt, outputBytes }) => [
    uuid,
    outcome.status,
    outcome.reason,
    outcome.exitCode,
    outcome.signal,
    outcome.error,
    outcome.durationMs,
    endedAt.toISOString(),
    outputBytes,
  ]);
  await db.query(none`
    UPDATE commands c
    SET status = f.status, reason = f.reason, exit_code = f.exit_code, signal = f.signal, error = f.error,
      duration_ms = f.duration_ms, ended_at = f.ended_at, output_bytes = f.output_bytes
    FROM ${sql.unnest(rows, ['uuid', 'text', 'text', 'int2', 'text', 'text', 'float8', 'timestamptz', 'int8'])}
      AS f (command_uuid, status, reason, exit_code, signal, error, duration_ms, ended_at, output_bytes)
    WHERE c.command_uuid = f.command_uuid AND c.owner = ${owner} AND c.status IN ('QUEUED', 'EXECUTING')`);
}

/** Deletes a command with its output. @returns whether it was there. */
export async function deleteCommand(db: Connection, uuid: string): Promise<boolean> {
  const deleted = await db.anyFirst(uuidOnly`DELETE FROM commands WHERE command_uuid = ${uuid} RETURNING command_uuid`);
  return deleted.length > 0;
}

/** The time in ms since the epoch by a clock that nobody sets: it goes on evenly from the start of the process. */
export const steadyNow = () => performance.timeOrigin + performance.now();

/** By how much the clock of the database is ahead of `steadyNow`, in ms. */
export async function clockOffset(db: Connection): Promise<number> {
  const row = z.object({ now: z.number() });
  const before = steadyNow();
  const [now = before] = await db.anyFirst(sql.type(row)`SELECT clock_timestamp() AS now`);
  return now - (before + steadyNow()) / 2;
}

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
}

const waitingRow = z.object({ command_uuid: z.string(), durable: z.boolean(), options: storedOptions });
const waiting = (row: z.infer<typeof waitingRow>): WaitingCommand => ({
  uuid: row.command_uuid,
  durable: row.durable,
  options: row.options,
});

/** A command that executes, as far as the database knows. */
export interface ExecutingCommand extends WaitingCommand {
  stored: StoredOutput;
}

/** What an owner has running, oldest first. */
export async function executingOf(db: Connection, owner: number): Promise<ExecutingCommand[]> {
  const row = waitingRow.extend({
    stored_bytes: z.number(),
    output_head: z.number().nullable(),
    output_tail: z.number().nullable(),
  });
  const rows = await db.any(sql.type(row)`
    SELECT command_uuid, durable, options, ${storedBytes} AS stored_bytes, output_head, output_tail
    FROM commands c WHERE owner = ${owner} AND status = 'EXECUTING' ORDER BY id`);
  return rows.map((row) => {
    const { stored_bytes: upTo, output_head: headBytes, output_tail: tailBytes } = row;
    const limit = headBytes === null || tailBytes === null ? null : { headBytes, tailBytes };
    return { ...waiting(row), stored: { upTo, limit } };
  });
}

/** Gives what an owner had running the outcome `lost`; the output stored so far is kept. */
export async function loseExecuting(db: Connection, owner: number): Promise<void> {
  await db.query(none`
    UPDATE commands c
    SET status = 'FAILED', reason = 'lost', error = 'the server ended while the command ran', ended_at = now(),
      output_bytes = ${storedBytes}
    WHERE owner = ${owner} AND status = 'EXECUTING'`);
}

/** Takes over the waiting commands of another owner. */
export async function adoptQueued(db: Connection, from: number, to: number): Promise<void> {
  await db.query(none`UPDATE commands SET owner = ${to} WHERE owner = ${from} AND status = 'QUEUED'`);
}

/** The waiting commands of an owner, oldest first. */
export async function queuedOf(db: Connection, owner: number): Promise<WaitingCommand[]> {
  const rows = await db.any(sql.type(waitingRow)`
    SELECT command_uuid, durable, options FROM commands WHERE owner = ${owner} AND status = 'QUEUED' ORDER BY id`);
  return rows.map(waiting);
}

const recordRow = z
  .object({
    command_uuid: z.string(),
    description: z.string(),
    script: z.string(),
    script_preview: z.boolean(),
    durable: z.boolean(),
    options: storedOptions,
    status: z.enum(STATUSES),
    reason: z.enum(REASONS).nullable(),
    exit_code: z.number().nullable(),
    signal: z.string().nullable(),
    error: z.string().nullable(),
    created_at: z.number(),
    started_at: z.number().nullable(),
    ended_at: z.number().nullable(),
    duration_ms: z.number().nullable(),
    total_bytes: z.number(),
    output_head: z.number().nullable(),
    dropped_bytes: z.number(),
    data: z.instanceof(Buffer).nullable(),
    streams: z.array(z.number()).nullable(),
    lengths: z.array(z.number()).nullable(),
  })
  .transform((row): CommandRecord => {
    const shown = row.data?.length ?? 0;
    const preview = shown < row.total_bytes - row.dropped_bytes;
    const gap = { at: row.output_head ?? 0, bytes: row.dropped_bytes };
    return {
      uuid: row.command_uuid,
      description: row.description,
      script: row.script,
      scriptPreview: row.script_preview,
      status: row.status,
      durable: row.durable,
      options: row.options,
      output: row.data === null ? '' : decodeOutput(row.data, row.streams ?? [], row.lengths ?? [], preview, gap),
      outputPreview: preview,
      outputTruncated: row.dropped_bytes > 0,
      outputBytes: row.total_bytes,
      reason: row.reason,
      exitCode: row.exit_code,
      signal: row.signal,
      error: row.error,
      createdAt: row.created_at,
      startedAt: row.started_at,
      endedAt: row.ended_at,
      durationMs: row.duration_ms,
    };
  });

/** Of commands `c`: how much of the output shows, and how much of that is not kept. */
const shownAndDropped = sql.fragment`
  CROSS JOIN LATERAL (
    SELECT CASE
      WHEN c.status NOT IN ('QUEUED', 'EXECUTING') THEN c.output_bytes
      WHEN c.durable THEN ${storedBytes}
      ELSE 0
    END AS total_bytes
  ) shown
  CROSS JOIN LATERAL (
    SELECT CASE WHEN shown.total_bytes > c.output_head THEN coalesce(
      (SELECT min(byte_offset) FROM command_output WHERE command_id = c.id AND byte_offset >= c.output_head)
        - c.output_head, 0)
      ELSE 0
    END AS dropped_bytes
  ) gap`;

/**
 * Reads commands `c` with at most `limit` bytes of their output each, if it shows: in one snapshot. Prepared under
 * `name`, one for each form of `page`: to parse and plan it takes twice as long as to run it.
 */
const selectRecords = (
  name: string,
  page: ReturnType<typeof sql.fragment>,
  limit: number,
  scriptLimit: number,
) => sql.prepared(name, recordRow)`
  SELECT c.command_uuid, c.description, left(c.script, ${scriptLimit}) AS script,
    length(c.script) > ${scriptLimit} AS script_preview, c.durable, c.options, c.status, c.reason, c.exit_code, c.signal,
    c.error, c.created_at, c.started_at, c.ended_at, c.duration_ms, shown.total_bytes, c.output_head, gap.dropped_bytes, printed.data, printed.streams,
    printed.lengths
  FROM (${page}) c
  ${shownAndDropped}
  LEFT JOIN LATERAL (
    SELECT string_agg(piece, ''::bytea ORDER BY byte_offset) AS data,
      array_agg(stream ORDER BY byte_offset) AS streams,
      array_agg(octet_length(piece) ORDER BY byte_offset) AS lengths
    FROM (
      SELECT byte_offset, stream, substring(data FROM 1 FOR (${limit} - place)::int) AS piece
      FROM (
        SELECT byte_offset, stream, data,
          byte_offset - CASE WHEN byte_offset >= c.output_head THEN gap.dropped_bytes ELSE 0 END AS place
        FROM command_output WHERE command_id = c.id AND byte_offset < ${limit} + gap.dropped_bytes
      ) placed
      WHERE place < ${limit}
    ) pieces
  ) printed ON shown.total_bytes > 0
  ORDER BY c.id DESC`;

/** Reads one command with at most `limit` bytes of its output. */
export function selectCommand(db: Connection, uuid: string, limit: number): Promise<CommandRecord | null> {
  const page = sql.fragment`SELECT * FROM commands WHERE command_uuid = ${uuid}`;
  return db.maybeOne(selectRecords('get_command', page, limit, SCRIPT_MAX_BYTES));
}

/** Reads a page of commands, newest first, with at most `limit` bytes of output each. */
export function selectCommands(db: Connection, f: CommandFilter, limit: number): Promise<readonly CommandRecord[]> {
  const where = f.status === undefined ? sql.fragment`` : sql.fragment`WHERE status = ${f.status}`;
  const page = sql.fragment`SELECT * FROM commands ${where} ORDER BY id DESC LIMIT ${f.limit} OFFSET ${f.offset}`;
  const name = f.status === undefined ? 'list_commands' : 'list_commands_of_status';
  return db.any(selectRecords(name, page, limit, limit));
}

const partRow = z
  .object({
    ended: z.boolean(),
    total_bytes: z.number(),
    output_head: z.number().nullable(),
    dropped_bytes: z.number(),
    data: z.instanceof(Buffer).nullable(),
    places: z.array(z.number()).nullable(),
    lengths: z.array(z.number()).nullable(),
    wanted: z.array(z.boolean()).nullable(),
  })
  .transform((row): OutputPart => {
    let start = 0;
    const pieces = (row.places ?? []).map((offset, i) => {
      const length = row.lengths?.[i] as number;
      const bytes = row.data?.subarray(start, row.wanted?.[i] ? start + length : start) ?? Buffer.alloc(0);
      start += bytes.length;
      return { offset, length, bytes };
    });
    const headBytes = row.output_head ?? Number.POSITIVE_INFINITY;
    return {
      ended: row.ended,
      upTo: row.total_bytes,
      gap: { at: headBytes, bytes: row.dropped_bytes },
      isFinal: row.dropped_bytes === 0 && (row.ended || row.total_bytes <= headBytes),
      pieces,
    };
  });

/**
 * Reads at most `maxBytes` of the stored output of one command, in one snapshot: from a place on, or from the next place
 * of which something is kept.
 */
export function selectOutput(
  db: Connection,
  uuid: string,
  { from, before, stream }: OutputQuery,
  maxBytes: number,
): Promise<OutputPart | null> {
  const streams = stream === undefined ? Object.values(STREAM_NUMBER) : [STREAM_NUMBER[stream]];
  return db.maybeOne(sql.prepared('get_output', partRow)`
    SELECT c.status NOT IN ('QUEUED', 'EXECUTING') AS ended, shown.total_bytes, c.output_head, gap.dropped_bytes,
      printed.data, printed.places, printed.lengths, printed.wanted
    FROM commands c
    ${shownAndDropped}
    LEFT JOIN LATERAL (
      SELECT coalesce(
        (SELECT byte_offset FROM (
          SELECT byte_offset, octet_length(data) AS length FROM command_output
          WHERE command_id = c.id AND byte_offset <= ${from} ORDER BY byte_offset DESC LIMIT 1
        ) last WHERE byte_offset + length > ${from}),
        (SELECT min(byte_offset) FROM command_output WHERE command_id = c.id AND byte_offset > ${from})
      ) AS place
    ) first ON shown.total_bytes > ${from}
    LEFT JOIN LATERAL (
      SELECT string_agg(piece, ''::bytea ORDER BY place) FILTER (WHERE wanted) AS data,
        array_agg(place ORDER BY place) AS places,
        array_agg(octet_length(piece) ORDER BY place) AS lengths,
        array_agg(wanted ORDER BY place) AS wanted
      FROM (
        SELECT begin.place, o.stream = ANY(${sql.array(streams, 'int2')}) AS wanted,
          substring(o.data FROM (begin.place - o.byte_offset + 1)::int FOR (span.up_to - begin.place)::int) AS piece
        FROM (SELECT least(greatest(first.place, ${from}) + ${maxBytes}, ${before}) AS up_to) span
        JOIN command_output o
          ON o.command_id = c.id AND o.byte_offset >= first.place AND o.byte_offset < span.up_to
        CROSS JOIN LATERAL (SELECT greatest(o.byte_offset, ${from}) AS place) begin
      ) pieces
    ) printed ON true
    WHERE c.command_uuid = ${uuid}`);
}

export function selectStatus(db: Connection, uuid: string) {
  return db.maybeOneFirst(sql.type(z.object({ status: z.enum(STATUSES) }))`
    SELECT status FROM commands WHERE command_uuid = ${uuid}`);
}

/**
 * Turns stored bytes into text; only what is not UTF-8 is replaced. Each stream has its own decoder, so that a
 * character that a chunk of the other stream cuts in two stays whole. Where bytes were dropped it says how many.
 */
function decodeOutput(
  data: Uint8Array,
  streams: number[],
  lengths: number[],
  cut: boolean,
  gap: { at: number; bytes: number },
): string {
  const decoders = new Map<number, TextDecoder>();
  let text = '';
  let start = 0;
  const endStreams = () => {
    for (const decoder of decoders.values()) text += decoder.decode();
  };
  for (const [i, stream] of streams.entries()) {
    const end = start + (lengths[i] as number);
    if (start === gap.at && gap.bytes > 0) {
      endStreams();
      text += droppedLine(gap.bytes);
    }
    let decoder = decoders.get(stream);
    if (decoder === undefined) {
      decoder = new TextDecoder('utf-8', { ignoreBOM: true });
      decoders.set(stream, decoder);
    }
    text += decoder.decode(data.subarray(start, end), { stream: true });
    start = end;
  }
  // Half a character at the very end is replaced too, unless it is we who cut it there.
  if (!cut) endStreams();
  return text;
}
