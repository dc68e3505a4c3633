/** Commands as readers see them. */
import { sql } from 'slonik';
import { z } from 'zod';
import { type CommandRecord, droppedLine, REASONS, SCRIPT_MAX_BYTES, STATUSES } from '../../command.ts';
import type { CommandFilter, ListPage, ListQuery } from '../../ports/reader.ts';
import { type Connection, type SqlFragment, storedInputs, storedOptions, storedProgress } from './connection.ts';
import { conditionsOf, where } from './filters.ts';
import { shownAndDropped } from './output.ts';
import { orderOf, type Page, pageOf, pageOfIds } from './pages.ts';
import { findPlaces, type GramStatistics } from './search.ts';

const recordRow = z
  .object({
    id: z.number(),
    command_uuid: z.string(),
    description: z.string(),
    script: z.string(),
    script_preview: z.boolean(),
    durable: z.boolean(),
    options: storedOptions,
    inputs: storedInputs.nullable(),
    labels: z.record(z.string(), z.string()).nullable(),
    rerun_of: z.string().nullable(),
    created_by: z.string().nullable(),
    pinned: z.boolean(),
    status: z.enum(STATUSES),
    reason: z.enum(REASONS).nullable(),
    exit_code: z.number().nullable(),
    signal: z.string().nullable(),
    error: z.string().nullable(),
    created_at: z.number(),
    started_at: z.number().nullable(),
    ended_at: z.number().nullable(),
    duration_ms: z.number().nullable(),
    stopped_by: z.string().nullable(),
    node: z.string().nullable(),
    progress: storedProgress,
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
      id: row.id,
      uuid: row.command_uuid,
      description: row.description,
      script: row.script,
      scriptPreview: row.script_preview,
      status: row.status,
      durable: row.durable,
      options: row.options,
      inputs: row.inputs,
      labels: row.labels ?? {},
      rerunOf: row.rerun_of,
      createdBy: row.created_by,
      pinned: row.pinned,
      output: row.data === null ? '' : decodeOutput(row.data, row.streams ?? [], row.lengths ?? [], preview, gap),
      outputPreview: preview,
      outputTruncated: row.dropped_bytes > 0,
      outputBytes: row.total_bytes,
      progress: row.progress,
      reason: row.reason,
      exitCode: row.exit_code,
      signal: row.signal,
      error: row.error,
      createdAt: row.created_at,
      startedAt: row.started_at,
      endedAt: row.ended_at,
      durationMs: row.duration_ms,
      stoppedBy: row.stopped_by,
      node: row.node,
    };
  });

/** Reads commands `c` with at most `limit` bytes of their output each, if it shows: in one snapshot. */
const selectRecords = (page: SqlFragment, limit: number, scriptLimit: number, inputs: SqlFragment) => sql.fragment`
  SELECT c.id, c.command_uuid, c.description, left(c.script, ${scriptLimit}) AS script,
    length(c.script) > ${scriptLimit} AS script_preview, c.durable, c.options, ${inputs} AS inputs, c.labels, c.rerun_of, c.created_by, c.pinned, c.status, c.reason, c.exit_code, c.signal,
    c.error, c.created_at, c.started_at, c.ended_at, c.duration_ms, c.stopped_by, c.node, c.progress, shown.total_bytes, c.output_head,
    gap.dropped_bytes, printed.data, printed.streams, printed.lengths
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
  `;

/** Reads one command with at most `limit` bytes of its output. */
export function selectCommand(db: Connection, uuid: string, limit: number): Promise<CommandRecord | null> {
  const page = sql.fragment`SELECT * FROM commands WHERE command_uuid = ${uuid}`;
  const records = selectRecords(page, limit, SCRIPT_MAX_BYTES, sql.fragment`coalesce(c.inputs, '{}')`);
  return db.maybeOne(sql.prepared('get_command', recordRow)`${records}`);
}

/** Reads commands with at most `limit` bytes of output, and characters of script, each; null for larger inputs. */
export function selectCommandsOf(
  db: Connection,
  uuids: readonly string[],
  limit: number,
): Promise<readonly CommandRecord[]> {
  const page = sql.fragment`SELECT * FROM commands WHERE command_uuid = ANY(${sql.array([...uuids], 'uuid')})`;
  const inputs = sql.fragment`
    CASE WHEN c.inputs IS NULL THEN '{}' WHEN pg_column_size(c.inputs) <= ${limit} THEN c.inputs END`;
  return db.any(sql.prepared('get_commands', recordRow)`${selectRecords(page, limit, limit, inputs)}`);
}

/** Reads a page of commands with at most `limit` bytes of output, and `scriptLimit` characters of script, each. */
export async function selectCommands(
  db: Connection,
  query: ListQuery,
  statistics: GramStatistics,
  limit: number,
  scriptLimit: number,
): Promise<ListPage> {
  const { filter } = query;
  const read = ({ name, rows }: Page) => {
    // Inputs are not read at all: a thousand of them may be a GiB.
    const selected = selectRecords(rows, limit, scriptLimit, sql.fragment`NULL::jsonb`);
    const records = sql.fragment`${selected} ORDER BY ${orderOf(filter)('c')}`;
    // Prepared where that makes no worse plan: to parse and plan it takes twice as long as to run it.
    return db.any(name === undefined ? sql.type(recordRow)`${records}` : sql.prepared(name, recordRow)`${records}`);
  };
  // One more tells whether there is a next page.
  const atMost = query.limit + 1;
  if (filter.text === undefined) {
    const found = await read(pageOf({ ...query, limit: atMost }));
    const commands = found.slice(0, query.limit);
    return { commands, next: found.length === atMost ? commands.at(-1) : undefined };
  }
  const places = await findPlaces(db, { ...query, limit: atMost }, statistics);
  const shown = places.slice(0, query.limit);
  const commands = [
    ...(await read(
      pageOfIds(
        shown.map(({ id }) => id),
        filter,
      ),
    )),
  ];
  // By the places, not by the commands: these may be deleted meanwhile.
  return { commands, next: places.length === atMost ? shown.at(-1) : undefined };
}

/** How many commands there are of a filter. */
export function countCommands(db: Connection, filter: CommandFilter): Promise<number> {
  return db.oneFirst(sql.type(z.object({ count: z.number() }))`
    SELECT count(*) AS count FROM commands ${where(conditionsOf(filter))}`);
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
