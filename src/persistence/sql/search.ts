/**
 * How a search by text goes through the commands: newest first, in ever larger strides, until a page is full. What is
 * common is found in the first, and for what is rare the index has few commands to give, however far a stride reaches.
 */
import { sql } from 'slonik';
import { z } from 'zod';
import type { CommandFilter, ListPosition, ListQuery } from '../../ports/reader.ts';
import { gramsOf } from '../grams.ts';
import type { Connection, SqlFragment } from './connection.ts';
import { conditionsOf, isIn, where } from './filters.ts';
import { isByTime, orderOf, placeBehind } from './pages.ts';

/** So many commands are looked at without the index: of what is common it would give more than we want to read. */
const NEAREST = 300;
/** As in the table `command_search`. */
export const SEGMENT_IDS = 2 ** 12;
/** How many segments each stride has; what lies behind them is the last. */
const STRIDES = [4, 16, 64];
/** How many trigrams of a text are looked up. Each costs a walk through its list; the rarest leave little for the others. */
const GRAMS = 4;
/** How long we believe what PostgreSQL said of the trigrams, in ms; it counts them anew now and then. */
const STATISTICS_MS = 60_000;

/** A part of the ids: `from` up to but without `before`. */
interface Stride {
  from: number;
  before: number;
  /** Whether the index is asked at all, and for which segments alone. */
  isIndexed: boolean;
  segments?: readonly number[] | undefined;
}

/** All ids before this one, in strides. */
export function stridesBefore(id: number): Stride[] {
  const from = Math.max(0, id - NEAREST);
  const strides: Stride[] = [{ from, before: id, isIndexed: false }];
  let before = from;
  let next = Math.floor((before - 1) / SEGMENT_IDS);
  for (const count of STRIDES) {
    const first = Math.max(0, next - count + 1);
    const segments = Array.from({ length: next - first + 1 }, (_, i) => first + i);
    if (before > 0) strides.push({ from: first * SEGMENT_IDS, before, isIndexed: true, segments });
    before = first * SEGMENT_IDS;
    next = first - 1;
  }
  if (before > 0) strides.push({ from: 0, before, isIndexed: true });
  return strides;
}

const placeRow = z
  .object({ id: z.number(), created_at: z.number() })
  .transform((row): ListPosition => ({ id: row.id, createdAt: row.created_at }));

/** Where the commands with a text are, in the order of their list: at most so many. */
export async function findPlaces(
  db: Connection,
  { filter, behind, limit }: Pick<ListQuery, 'filter' | 'behind' | 'limit'>,
  statistics: GramStatistics,
): Promise<ListPosition[]> {
  const grams = await statistics.rarest(db, filter.text ?? '');
  const order = orderOf(filter)('found');
  const conditions = conditionsOf(filter);
  /** OFFSET 0 keeps the LIMIT from the planner: it would expect enough to be found soon, and look at each command. */
  const select = async (from: SqlFragment, count: number) => [
    ...(await db.any(sql.type(placeRow)`
      SELECT id, created_at FROM (${from} OFFSET 0) found ORDER BY ${order} LIMIT ${count}`)),
  ];
  const all = (more: readonly SqlFragment[]) =>
    sql.fragment`SELECT id, created_at FROM commands ${where([...conditions, ...more])}`;

  const place = behind === undefined ? [] : [placeBehind(behind, filter)];
  if (isByTime(filter)) {
    const nearest = sql.fragment`
      SELECT * FROM commands ${where([...conditionsOf(timesOf(filter)), ...place])}
      ORDER BY ${orderOf(filter)('commands')} LIMIT ${NEAREST}`;
    const found = await select(sql.fragment`SELECT * FROM (${nearest}) nearest ${where(conditions)}`, limit);
    return found.length === limit ? found : select(all([...place, isIn({ grams })]), limit);
  }
  const places: ListPosition[] = [];
  for (const { from, before, isIndexed, segments } of stridesBefore(behind?.id ?? (await newestId(db)) + 1)) {
    const area = isIndexed ? [isIn({ grams, segments })] : [];
    const range = [sql.fragment`id >= ${from}`, sql.fragment`id < ${before}`];
    places.push(...(await select(all([...area, ...range]), limit - places.length)));
    if (places.length === limit) break;
  }
  return places;
}

const timesOf = ({ createdAfter, createdBefore }: CommandFilter): CommandFilter => ({ createdAfter, createdBefore });

async function newestId(db: Connection): Promise<number> {
  const row = z.object({ id: z.number() });
  return (await db.maybeOneFirst(sql.type(row)`SELECT id FROM commands ORDER BY id DESC LIMIT 1`)) ?? 0;
}

/** Which trigrams are rare, as PostgreSQL has counted them. */
export class GramStatistics {
  #frequencies = new Map<number, number>();
  #readAt = Number.NEGATIVE_INFINITY;

  /** The rarest trigrams of a text. */
  async rarest(db: Connection, text: string): Promise<number[]> {
    if (performance.now() - this.#readAt > STATISTICS_MS) await this.#read(db);
    const frequency = (gram: number) => this.#frequencies.get(gram) ?? 0;
    return gramsOf(text)
      .sort((a, b) => frequency(a) - frequency(b))
      .slice(0, GRAMS);
  }

  async #read(db: Connection): Promise<void> {
    const row = z.object({ gram: z.number(), frequency: z.number() });
    // Some numbers about all elements follow the frequencies; what is not among the common ones is rarer than they are.
    const rows = await db.any(sql.type(row)`
      SELECT gram, frequency
      FROM pg_stats, unnest(most_common_elems::text::int2[], most_common_elem_freqs::float8[]) AS e (gram, frequency)
      WHERE schemaname = current_schema() AND tablename = 'command_search' AND attname = 'grams' AND gram IS NOT NULL`);
    this.#frequencies = new Map(rows.map(({ gram, frequency }) => [gram, frequency]));
    this.#readAt = performance.now();
  }
}
