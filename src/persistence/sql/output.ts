/** The output of commands, in pieces: what is written of it, what is dropped, and what is read as it is. */
import { sql } from 'slonik';
import { z } from 'zod';
import { STATUSES, type Stream } from '../../command.ts';
import type { OutputPart, OutputQuery } from '../../ports/reader.ts';
import { type Connection, none, storedProgress } from './connection.ts';

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
const streamOf = (number: number | undefined): Stream => (number === STREAM_NUMBER.stderr ? 'stderr' : 'stdout');

/** Where the stored output of a command `c` ends. */
export const storedBytes = sql.fragment`coalesce(
  (SELECT byte_offset + octet_length(data) FROM command_output
   WHERE command_id = c.id ORDER BY byte_offset DESC LIMIT 1), 0)`;

/**
 * Appends output of commands that this owner has running; pieces that are stored already stay as they are. What comes from
 * a server that was given up meanwhile is dropped: its command has an outcome, or another owner.
 */
export async function appendOutput(db: Connection, owner: number, pieces: readonly OutputRow[]): Promise<void> {
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
    WHERE c.owner = ${owner} AND c.status = 'EXECUTING'
    FOR KEY SHARE OF c
    ON CONFLICT DO NOTHING`);
}

const cutRows = (owner: number, cuts: readonly Cut[]) =>
  sql.fragment`${sql.unnest(
    cuts.map(({ uuid, from, upTo }) => [uuid, from, upTo]),
    ['uuid', 'int8', 'int8'],
  )} AS cut (command_uuid, start, up_to)
  JOIN commands c ON c.command_uuid = cut.command_uuid AND c.owner = ${owner} AND c.status = 'EXECUTING'`;

/** Deletes rows that lie wholly in what is not kept. */
export async function dropOutput(db: Connection, owner: number, cuts: readonly Cut[]): Promise<void> {
  await db.query(none`
    DELETE FROM command_output o USING ${cutRows(owner, cuts)}
    WHERE o.command_id = c.id AND o.byte_offset >= cut.start AND o.byte_offset < cut.up_to
      AND o.byte_offset + octet_length(o.data) <= cut.up_to`);
}

/** Deletes what is not kept to the byte. */
export async function cutOutput(db: Connection, owner: number, cuts: readonly Cut[]): Promise<void> {
  await dropOutput(db, owner, cuts);
  await db.query(none`
    UPDATE command_output o
    SET byte_offset = cut.up_to, data = substring(o.data FROM (cut.up_to - o.byte_offset + 1)::int)
    FROM ${cutRows(owner, cuts)}
    WHERE o.command_id = c.id AND o.byte_offset >= cut.start AND o.byte_offset < cut.up_to`);
}

/** Of commands `c`: how much of the output shows, and how much of that is not kept. */
export const shownAndDropped = sql.fragment`
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

const partRow = z
  .object({
    status: z.enum(STATUSES),
    progress: storedProgress,
    total_bytes: z.number(),
    output_head: z.number().nullable(),
    dropped_bytes: z.number(),
    data: z.instanceof(Buffer).nullable(),
    places: z.array(z.number()).nullable(),
    lengths: z.array(z.number()).nullable(),
    streams: z.array(z.number()).nullable(),
    wanted: z.array(z.boolean()).nullable(),
  })
  .transform((row): OutputPart => {
    let start = 0;
    const pieces = (row.places ?? []).map((offset, i) => {
      const length = row.lengths?.[i] as number;
      const bytes = row.data?.subarray(start, row.wanted?.[i] ? start + length : start) ?? Buffer.alloc(0);
      start += bytes.length;
      return { stream: streamOf(row.streams?.[i]), offset, length, bytes };
    });
    const ended = !['QUEUED', 'EXECUTING'].includes(row.status);
    const headBytes = row.output_head ?? Number.POSITIVE_INFINITY;
    return {
      status: row.status,
      progress: row.progress,
      ended,
      upTo: row.total_bytes,
      gap: { at: headBytes, bytes: row.dropped_bytes },
      isFinal: row.dropped_bytes === 0 && (ended || row.total_bytes <= headBytes),
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
    SELECT c.status, c.progress, shown.total_bytes, c.output_head, gap.dropped_bytes,
      printed.data, printed.places, printed.lengths, printed.streams, printed.wanted
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
        array_agg(stream ORDER BY place) AS streams,
        array_agg(wanted ORDER BY place) AS wanted
      FROM (
        SELECT begin.place, o.stream, o.stream = ANY(${sql.array(streams, 'int2')}) AS wanted,
          substring(o.data FROM (begin.place - o.byte_offset + 1)::int FOR (span.up_to - begin.place)::int) AS piece
        FROM (SELECT least(greatest(first.place, ${from}) + ${maxBytes}, ${before}) AS up_to) span
        JOIN command_output o
          ON o.command_id = c.id AND o.byte_offset >= first.place AND o.byte_offset < span.up_to
        CROSS JOIN LATERAL (SELECT greatest(o.byte_offset, ${from}) AS place) begin
      ) pieces
    ) printed ON true
    WHERE c.command_uuid = ${uuid}`);
}
