/** What has become of commands, one event after the other. */
import { sql } from 'slonik';
import { z } from 'zod';
import { type Progress, STATUSES } from '../../command.ts';
import { type EventPlace, parseSnapshot, type Snapshot } from '../event-place.ts';
import { type Connection, storedProgress } from './connection.ts';

export interface StoredEvent {
  /** The transaction that it was part of, and its number, which goes up within that. */
  xid: number;
  seq: number;
  uuid: string;
  /** Null: it was deleted. */
  status: (typeof STATUSES)[number] | null;
  /** Null: it is about the status, or a deletion. */
  progress: Progress | null;
  /** In ms since the epoch. */
  at: number;
}

export interface StoredEvents {
  /** In the order of their transactions and numbers. */
  events: StoredEvent[];
  /** What the answer could see. */
  snapshot: Snapshot;
  /** The latest transaction of which events are not kept any more. */
  trimmedUpTo: number;
}

const eventRow = z.object({
  snapshot: z.string(),
  trimmed_up_to: z.number(),
  xid: z.number().nullable(),
  seq: z.number().nullable(),
  command_uuid: z.string().nullable(),
  status: z.enum(STATUSES).nullable(),
  progress: storedProgress,
  at: z.number().nullable(),
});

/** Reads at most `limit` events that whoever is at a place was not given. */
export async function selectEvents(db: Connection, place: EventPlace, limit: number): Promise<StoredEvents> {
  const { next, open, xid, seq } = place;
  const some = sql.fragment`ORDER BY xid, seq LIMIT ${limit}`;
  const rows = await db.any(sql.type(eventRow)`
    SELECT seen.snapshot::text, trimmed.up_to::text::bigint AS trimmed_up_to,
      e.xid::text::bigint AS xid, e.seq, e.command_uuid, e.status, e.progress, e.at
    FROM (SELECT pg_current_snapshot() AS snapshot) seen
    CROSS JOIN command_events_trimmed trimmed
    LEFT JOIN LATERAL (
      (SELECT * FROM command_events
       WHERE xid >= ${`${next}`}::xid8 AND xid < pg_snapshot_xmax(seen.snapshot) ${some})
      UNION ALL
      (SELECT * FROM command_events WHERE xid = ANY(${sql.array(open.map(String), 'text')}::xid8[]) ${some})
      UNION ALL
      (SELECT * FROM command_events WHERE xid = ${`${xid}`}::xid8 AND seq > ${seq} AND xid < ${`${next}`}::xid8 ${some})
    ) e ON true
    ORDER BY e.xid, e.seq LIMIT ${limit}`);
  const [first] = rows;
  if (first === undefined) throw new Error('command_events_trimmed has no row');
  return {
    snapshot: parseSnapshot(first.snapshot),
    trimmedUpTo: first.trimmed_up_to,
    events: rows.flatMap(({ xid, seq, command_uuid: uuid, status, progress, at }) =>
      xid === null || seq === null || uuid === null || at === null ? [] : [{ xid, seq, uuid, status, progress, at }],
    ),
  };
}

/**
 * Deletes, of the oldest `limit` events, those that are older than `maxAgeMs` or not among the latest `keep`.
 * @returns how many.
 */
export async function trimEvents(db: Connection, keep: number, maxAgeMs: number, limit: number): Promise<number> {
  const [count = 0] = await db.anyFirst(sql.type(z.object({ count: z.number() }))`
    WITH newest AS (SELECT seq FROM command_events ORDER BY xid DESC, seq DESC LIMIT 1),
    gone AS (
      DELETE FROM command_events e
      USING (SELECT xid, seq, at FROM command_events ORDER BY xid, seq LIMIT ${limit}) o
      WHERE e.xid = o.xid AND e.seq = o.seq
        AND (o.seq <= (SELECT seq FROM newest) - ${keep} OR o.at < now() - ${maxAgeMs} * interval '1 ms')
      RETURNING e.xid
    ),
    marked AS (
      UPDATE command_events_trimmed t SET up_to = greatest(t.up_to, last.xid)
      FROM (SELECT xid FROM gone ORDER BY xid DESC LIMIT 1) last
    )
    SELECT count(*) FROM gone`);
  return count;
}
