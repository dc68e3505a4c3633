/** What is stored of the output of a command, and whether it is what was printed. */
import type { Test } from 'tap';
import type { OutputLimit, Stream } from '../../src/command.ts';

/** A row of `command_output`. */
export interface StoredRow {
  offset: number;
  stream: Stream;
  data: Buffer;
}

type Rows = (sql: string, values?: unknown[]) => Promise<{ byte_offset: string; stream: number; data: Buffer }[]>;

/** The rows of a command, in order. */
export async function storedRows(rows: Rows, uuid: string): Promise<StoredRow[]> {
  const found = await rows(
    `SELECT byte_offset, stream, data FROM command_output JOIN commands ON command_id = id
     WHERE command_uuid = $1 ORDER BY byte_offset`,
    [uuid],
  );
  return found.map(({ byte_offset, stream, data }) => ({
    offset: Number(byte_offset),
    stream: stream === 1 ? 'stdout' : 'stderr',
    data,
  }));
}

const isPart = (part: Buffer, whole: Buffer, at: number) => part.equals(whole.subarray(at, at + part.length));

/**
 * The oracle: of the bytes that a command printed the first `headBytes` and the last `tailBytes` are stored, each at its
 * place, and nothing else. Of two streams, whose order is that of arrival, each is looked at by itself.
 */
export function checkKept(t: Test, stored: StoredRow[], printed: Partial<Record<Stream, Buffer>>, limit: OutputLimit) {
  const total = Object.values(printed).reduce((sum, { length }) => sum + length, 0);
  const tailAt = Math.max(limit.headBytes, total - limit.tailBytes);
  const places: [number, number][] = [];
  for (const { offset, data } of stored) {
    const last = places.at(-1);
    if (last?.[1] === offset) last[1] += data.length;
    else places.push([offset, offset + data.length]);
  }
  const expected =
    tailAt > limit.headBytes
      ? [
          [0, limit.headBytes],
          [tailAt, total],
        ]
      : [[0, total]];
  t.same(places, expected, 'the first and the last bytes are stored, and nothing else');
  for (const [stream, bytes] of Object.entries(printed)) {
    const of = (rows: StoredRow[]) =>
      Buffer.concat(rows.filter((row) => row.stream === stream).map(({ data }) => data));
    const head = of(stored.filter(({ offset }) => offset < limit.headBytes));
    const tail = of(stored.filter(({ offset }) => offset >= limit.headBytes));
    t.ok(isPart(head, bytes, 0), `the head of ${stream} is what was printed first`);
    t.ok(isPart(tail, bytes, bytes.length - tail.length), `the tail of ${stream} is what was printed last`);
  }
}
