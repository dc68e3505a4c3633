/** Deleting many commands: none that waits or runs, and none that is pinned. */
import { sql } from 'slonik';
import { z } from 'zod';
import type { CommandFilter, Pruned } from '../../ports/reader.ts';
import type { Connection, SqlFragment } from './connection.ts';
import { conditionsOf, isIn, type SearchArea } from './filters.ts';

/** The index of what may be deleted has these conditions. */
const deletable = sql.fragment`ended_at IS NOT NULL AND NOT pinned AND status IN ('EXECUTED', 'FAILED', 'STOPPED')`;

/** The number of the lock that a server holds while it deletes what is too old or too much; the claims have another. */
const RETENTION_LOCK = 0x5e12;

/** Whether this transaction is now the only one that applies the rules of retention. */
export function takeRetention(db: Connection): Promise<boolean> {
  return db.oneFirst(sql.type(z.object({ taken: z.boolean() }))`
    SELECT pg_try_advisory_xact_lock(${RETENTION_LOCK}, 0) AS taken`);
}

/** How much is deleted at most. */
export interface Most {
  commands: number;
  /** It stops with the first one that reaches these. */
  bytes: number;
  /** Only what ended longer ago, in seconds. */
  olderThanS?: number | undefined;
}

/** What was deleted. */
export interface Deleted {
  commands: number;
  bytes: number;
  /** When the last of them ended, in ms since the epoch; null when there was none. */
  lastEndedAt: number | null;
}

const deletedRow = z
  .object({ commands: z.number(), bytes: z.number(), last_ended_at: z.number().nullable() })
  .transform(({ commands, bytes, last_ended_at: lastEndedAt }): Deleted => ({ commands, bytes, lastEndedAt }));

/**
 * Deletes what ended first. What somebody else is changing at the moment is passed over.
 * @param from when that ended where it begins, in ms since the epoch: what was deleted just before lies in the index still.
 */
export function deleteOldest(db: Connection, most: Most, from: number): Promise<Deleted> {
  const { commands, bytes, olderThanS } = most;
  const isOld =
    olderThanS === undefined ? sql.fragment`` : sql.fragment`AND ended_at < now() - ${olderThanS} * interval '1 s'`;
  return db.one(sql.type(deletedRow)`
    WITH oldest AS (
      SELECT id, ended_at, kept_bytes FROM commands
      WHERE ${deletable} AND ended_at >= ${new Date(from).toISOString()}::timestamptz ${isOld}
      ORDER BY ended_at, id LIMIT ${commands} FOR UPDATE SKIP LOCKED
    ), chosen AS (
      SELECT id FROM (
        SELECT id, sum(kept_bytes) OVER (ORDER BY ended_at, id) - kept_bytes AS bytes_before FROM oldest
      ) o WHERE bytes_before < ${bytes}
    ), gone AS (
      DELETE FROM commands c USING chosen WHERE c.id = chosen.id RETURNING c.ended_at, c.kept_bytes
    )
    SELECT count(*) AS commands, coalesce(sum(kept_bytes), 0)::bigint AS bytes, max(ended_at) AS last_ended_at FROM gone`);
}

/** A part of the ids. */
export interface IdRange {
  first: number;
  last: number;
}

/** The ids that there are. */
export function selectIdRange(db: Connection): Promise<IdRange> {
  return db.one(sql.type(z.object({ first: z.number(), last: z.number() }))`
    SELECT coalesce(min(id), 0) AS first, coalesce(max(id), 0) AS last FROM commands`);
}

/** Commands by their ids, and what each keeps, in bytes. */
export interface Found {
  ids: number[];
  bytes: number[];
}

/** What may be deleted of a filter, oldest first. As arrays: to read a row for each would take longer than to find it. */
export function findDeletable(
  db: Connection,
  filter: CommandFilter,
  { first, last }: IdRange,
  area: SearchArea | undefined,
): Promise<Found> {
  const conditions: SqlFragment[] = [
    sql.fragment`id BETWEEN ${first} AND ${last}`,
    deletable,
    ...conditionsOf(filter),
    ...(area === undefined ? [] : [isIn(area)]),
  ];
  return db.one(sql.type(z.object({ ids: z.array(z.number()), bytes: z.array(z.number()) }))`
    SELECT coalesce(array_agg(id ORDER BY id), '{}') AS ids, coalesce(array_agg(kept_bytes ORDER BY id), '{}') AS bytes
    FROM commands WHERE ${sql.join(conditions, sql.fragment` AND `)}`);
}

/** Deletes these, but for those that were pinned meanwhile. @returns how many. */
export async function deleteCommands(db: Connection, ids: readonly number[]): Promise<number> {
  const { rowCount } = await db.query(sql.type(z.object({}))`
    DELETE FROM commands WHERE id = ANY(${sql.array([...ids], 'int8')}) AND NOT pinned`);
  return rowCount;
}

/** What stays of a filter up to an id. */
export function countKept(db: Connection, filter: CommandFilter, last: number): Promise<Pruned['kept']> {
  const meant = sql.join([sql.fragment`id <= ${last}`, ...conditionsOf(filter)], sql.fragment` AND `);
  return db.one(sql.type(z.object({ live: z.number(), pinned: z.number() }))`
    SELECT
      (SELECT count(*) FROM commands WHERE ${meant} AND status IN ('QUEUED', 'EXECUTING')) AS live,
      (SELECT count(*) FROM commands WHERE ${meant} AND ended_at IS NOT NULL AND pinned) AS pinned`);
}
