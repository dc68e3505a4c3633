/** Commands as readers see them. */
import { sql } from 'slonik';
import { z } from 'zod';
import { type CommandRecord, droppedLine, REASONS, SCRIPT_MAX_BYTES, STATUSES } from '../../command.ts';
import type { CommandFilter } from '../../ports.ts';
import { type Connection, storedInputs, storedOptions } from './connection.ts';
import { shownAndDropped } from './output.ts';

const recordRow = z
  .object({
    command_uuid: z.string(),
    description: z.string(),
    script: z.string(),
    script_preview: z.boolean(),
    durable: z.boolean(),
    options: storedOptions,
    inputs: storedInputs.nullable(),
    labels: z.record(z.string(), z.string()).nullable(),
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
      inputs: row.inputs,
      labels: row.labels ?? {},
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

/**
 * Reads commands `c` with at most `limit` bytes of their output each, if it shows: in one snapshot. Prepared under
 * `name`, one for each form of `page`: to parse and plan it takes twice as long as to run it.
 */
const selectRecords = (
  name: string,
  page: ReturnType<typeof sql.fragment>,
  limit: number,
  scriptLimit: number,
  inputs: ReturnType<typeof sql.fragment>,
) => sql.prepared(name, recordRow)`
  SELECT c.command_uuid, c.description, left(c.script, ${scriptLimit}) AS script,
    length(c.script) > ${scriptLimit} AS script_preview, c.durable, c.options, ${inputs} AS inputs, c.labels, c.status, c.reason, c.exit_code, c.signal,
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
  const inputs = sql.fragment`coalesce(c.inputs, '{}')`;
  return db.maybeOne(selectRecords('get_command', page, limit, SCRIPT_MAX_BYTES, inputs));
}

/** Reads a page of commands, newest first, with at most `limit` bytes of output each. */
export function selectCommands(db: Connection, f: CommandFilter, limit: number): Promise<readonly CommandRecord[]> {
  const where = f.status === undefined ? sql.fragment`` : sql.fragment`WHERE status = ${f.status}`;
  const page = sql.fragment`SELECT * FROM commands ${where} ORDER BY id DESC LIMIT ${f.limit} OFFSET ${f.offset}`;
  const name = f.status === undefined ? 'list_commands' : 'list_commands_of_status';
  // Not read at all: a thousand of them may be a GiB.
  return db.any(selectRecords(name, page, limit, limit, sql.fragment`NULL::jsonb`));
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
