/** The nodes of a cluster, and what they take from each other. */
import { sql } from 'slonik';
import { z } from 'zod';
import { STATUSES } from '../../command.ts';
import { type Connection, none, type SqlFragment } from './connection.ts';
import { NOBODY, stepsOfWaiting, type WaitingCommand, waiting, waitingRow } from './owners.ts';

/** Apart from all other locks: who holds it decides how many commands the cluster runs. */
const LIMIT_LOCK = 0x5e11_c105;

export interface NodeRow {
  owner: number;
  name: string;
  version: string;
  labels: readonly string[];
  /** How many commands it runs at once. */
  slots: number;
}

/** Makes a node known. @returns false when the others have given it up: then its owner number is of no more use. */
export async function registerNode(db: Connection, node: NodeRow): Promise<boolean> {
  const { owner, name, version, labels, slots } = node;
  const rows = await db.any(sql.type(z.object({ owner: z.number() }))`
    INSERT INTO nodes AS n (owner, name, version, labels, slots)
    VALUES (${owner}, ${name}, ${version}, ${sql.array([...labels], 'text')}, ${slots})
    ON CONFLICT (owner) DO UPDATE
    SET name = excluded.name, version = excluded.version, labels = excluded.labels, slots = excluded.slots, left_at = NULL
    WHERE n.fenced_at IS NULL
    RETURNING owner`);
  return rows.length > 0;
}

/** Says that a node has left. What is known of nodes that left or were given up a day ago is forgotten. */
export async function leaveNode(db: Connection, owner: number): Promise<void> {
  await db.query(none`UPDATE nodes SET left_at = now() WHERE owner = ${owner}`);
  await db.query(none`DELETE FROM nodes WHERE coalesce(left_at, fenced_at) < now() - interval '1 day'`);
}

/** Gives a node up, for ever. Whoever takes commands at this moment as that node waits, and then takes none. */
export async function fenceNode(db: Connection, owner: number): Promise<void> {
  await db.query(none`UPDATE nodes SET fenced_at = now() WHERE owner = ${owner}`);
}

/** Whether a node may take commands at this moment: held so until the transaction ends. */
export async function mayTake(db: Connection, owner: number): Promise<boolean> {
  const rows = await db.any(sql.type(z.object({ owner: z.number() }))`
    SELECT owner FROM nodes WHERE owner = ${owner} AND fenced_at IS NULL AND NOT draining FOR SHARE`);
  return rows.length > 0;
}

/** @returns whether there is such a node. */
export async function setDraining(db: Connection, owner: number, isDraining: boolean): Promise<boolean> {
  const rows = await db.any(sql.type(z.object({ owner: z.number() }))`
    UPDATE nodes SET draining = ${isDraining} WHERE owner = ${owner} AND fenced_at IS NULL AND left_at IS NULL
    RETURNING owner`);
  return rows.length > 0;
}

/** The owners of the nodes that have neither left nor been given up. */
export async function presentNodes(db: Connection): Promise<readonly number[]> {
  return db.anyFirst(sql.type(z.object({ owner: z.number() }))`
    SELECT owner FROM nodes WHERE left_at IS NULL AND fenced_at IS NULL`);
}

const nodeRow = z.object({
  owner: z.number(),
  name: z.string(),
  version: z.string(),
  labels: z.array(z.string()),
  slots: z.number(),
  draining: z.boolean(),
  started_at: z.number(),
  left_at: z.number().nullable(),
  fenced_at: z.number().nullable(),
});
export type StoredNode = z.infer<typeof nodeRow>;

const busyNodeRow = nodeRow.extend({ executing: z.number(), waiting: z.number() });
export type BusyNode = z.infer<typeof busyNodeRow>;

/** All nodes that are there, or were until a day ago. */
export function selectNodes(db: Connection): Promise<readonly StoredNode[]> {
  return db.any(sql.type(nodeRow)`
    SELECT * FROM nodes WHERE coalesce(left_at, fenced_at, now()) > now() - interval '1 day'`);
}

/** The same with how many commands they have: oldest first. */
export function selectBusyNodes(db: Connection): Promise<readonly BusyNode[]> {
  return db.any(sql.type(busyNodeRow)`
    SELECT n.*, coalesce(c.executing, 0) AS executing, coalesce(c.waiting, 0) AS waiting
    FROM nodes n LEFT JOIN (
      SELECT owner, count(*) FILTER (WHERE status = 'EXECUTING') AS executing,
        count(*) FILTER (WHERE status = 'QUEUED') AS waiting
      FROM commands WHERE status IN ('QUEUED', 'EXECUTING') AND owner > ${NOBODY} GROUP BY owner
    ) c USING (owner)
    WHERE coalesce(left_at, fenced_at, now()) > now() - interval '1 day'
    ORDER BY n.started_at, n.owner`);
}

/** How many commands wait that no node has taken. */
export async function countForNodes(db: Connection): Promise<number> {
  return db.oneFirst(sql.type(z.object({ count: z.number() }))`
    SELECT count(*) FROM commands WHERE status = 'QUEUED' AND owner = ${NOBODY}`);
}

/** How many commands all nodes have taken, counted while nobody else takes any: until the transaction ends. */
export async function countTaken(db: Connection): Promise<number> {
  await db.query(none`SELECT pg_advisory_xact_lock(${LIMIT_LOCK})`);
  return db.oneFirst(sql.type(z.object({ count: z.number() }))`
    SELECT count(*) FROM commands WHERE status IN ('QUEUED', 'EXECUTING') AND owner <> ${NOBODY}`);
}

/** Of the `limit` oldest commands that a node of these kinds may take, how many want which kind; null: any node. */
export function selectShares(
  db: Connection,
  labels: readonly string[],
  limit: number,
): Promise<readonly { label: string | null; count: number }[]> {
  const oldest = (label: SqlFragment) => sql.fragment`
    SELECT id FROM commands c
    WHERE c.status = 'QUEUED' AND c.owner = ${NOBODY} AND coalesce(c.options -> 'node' ->> 'label', '') = ${label}
    ORDER BY id LIMIT ${limit}`;
  // Each from its part of the index, which is in order.
  return db.any(sql.type(z.object({ label: z.string().nullable(), count: z.number() }))`
    SELECT label, count(*) FROM (
      SELECT NULL AS label, id FROM (${oldest(sql.fragment`''`)}) of_any
      UNION ALL
      SELECT kind.label, id FROM ${sql.unnest(
        labels.map((label) => [label]),
        ['text'],
      )} AS kind (label) CROSS JOIN LATERAL (${oldest(sql.fragment`kind.label`)}) of_kind
      ORDER BY id LIMIT ${limit}
    ) those GROUP BY label`);
}

/**
 * The oldest commands that have waited for `ms` and more and that a node of these kinds may take.
 * @returns at most `limit` of them.
 */
export async function selectStale(db: Connection, labels: readonly string[], ms: number, limit: number) {
  const rows = await db.any(sql.type(waitingRow)`
    SELECT command_uuid, durable, options, 0 AS steps FROM commands
    WHERE status = 'QUEUED' AND owner = ${NOBODY} AND created_at < now() - ${ms} * interval '1 ms'
      AND coalesce(options -> 'node' ->> 'label', '') = ANY(${sql.array(['', ...labels], 'text')})
    ORDER BY id LIMIT ${limit}`);
  return rows.map(waiting);
}

/** Gives commands that nobody has to an owner. @returns those that it has now, oldest first. */
export async function takeCommands(db: Connection, owner: number, uuids: readonly string[]): Promise<WaitingCommand[]> {
  const rows = await db.any(sql.type(waitingRow)`
    WITH taken AS (
      UPDATE commands c SET owner = ${owner}
      WHERE command_uuid = ANY(${sql.array([...uuids], 'uuid')}) AND status = 'QUEUED' AND owner = ${NOBODY}
      RETURNING id, command_uuid, durable, options, ${stepsOfWaiting} AS steps
    )
    SELECT command_uuid, durable, options, steps FROM taken ORDER BY id`);
  return rows.map(waiting);
}

/** Who has a command, how it stands, and which kind of node it wants. Null when there is none. */
export function selectPlace(db: Connection, uuid: string) {
  return db.maybeOne(sql.type(z.object({ owner: z.number(), status: z.enum(STATUSES), label: z.string().nullable() }))`
    SELECT owner, status, options -> 'node' ->> 'label' AS label FROM commands WHERE command_uuid = ${uuid}`);
}
