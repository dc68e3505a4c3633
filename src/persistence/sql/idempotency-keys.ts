/**
 * Which requests have created which commands, by the keys that clients gave them; each is kept for a day.
 *
 * A key is committed with its command, by the same statement. A command that is committed too late for its client, who was
 * told that it is not stored, is withdrawn with its key; unless by then a repeat of the request, at whichever server, has
 * been told of it. Who tells of a command therefore marks its key, in the moment in which it still is there, unless it is
 * plain that the command will stay: it was begun, or a client has deleted it.
 */
import { sql } from 'slonik';
import { z } from 'zod';
import type { CallerName, Idempotency, NewCommand } from '../../command.ts';
import type { Insert } from './commands.ts';
import type { Connection, SqlFragment } from './connection.ts';

/** Whose a key is, as it is stored: the name of a token, which is never empty. */
const scopeOf = (by: CallerName) => by ?? '';

/** What of a key `k` is that of an earlier day, which counts no more. */
const isExpired = sql.fragment`k.created_at < now() - interval '24 hours'`;

/** Parts of the statement that stores new commands. */
export interface Claims {
  /** Takes the keys of those that still have the time, as `asked`; `claimed` are those that got theirs. */
  ctes: SqlFragment;
  /** Whether a new command `n` may be stored. */
  mayBeStored: SqlFragment;
  /** Adds the uuids of those whose key another command has, as not stored. */
  taken: SqlFragment;
}

/** @param isInTime whether a new command `n` has not passed its deadline. */
export function claimsOf(inserts: readonly Insert[], isInTime: SqlFragment): Claims {
  const keys = inserts.flatMap(({ command: { uuid, createdBy, idempotency }, deadline }) => {
    if (idempotency === undefined) return [];
    const { key, fingerprint } = idempotency;
    return [[uuid, scopeOf(createdBy), key, Buffer.from(fingerprint), new Date(deadline).toISOString()]];
  });
  // What has no key costs nothing of this.
  if (keys.length === 0) return { ctes: sql.fragment``, mayBeStored: isInTime, taken: sql.fragment`` };
  const uuids = keys.map(([uuid]) => uuid as string);
  return {
    // Whether the time is over is decided once, so that no key stays without its command. ORDER BY: servers that want the
    // same keys wait for one another in the same order. The command itself has its key when its commit was in doubt.
    ctes: sql.fragment`
      asked AS MATERIALIZED (
        SELECT n.* FROM ${sql.unnest(keys, ['uuid', 'text', 'text', 'bytea', 'timestamptz'])}
          WITH ORDINALITY AS n (command_uuid, scope, key, fingerprint, deadline, place)
        WHERE ${isInTime}
      ), claimed AS (
        INSERT INTO idempotency_keys AS k (scope, key, fingerprint, command_uuid)
        SELECT DISTINCT ON (scope, key) scope, key, fingerprint, command_uuid FROM asked ORDER BY scope, key, place
        ON CONFLICT (scope, key) DO UPDATE
          SET fingerprint = excluded.fingerprint, command_uuid = excluded.command_uuid, created_at = excluded.created_at,
            replayed = k.replayed AND k.command_uuid = excluded.command_uuid
          WHERE k.command_uuid = excluded.command_uuid OR ${isExpired}
        RETURNING command_uuid
      ),`,
    mayBeStored: sql.fragment`
      CASE WHEN n.command_uuid = ANY(${sql.array(uuids, 'uuid')}) THEN n.command_uuid IN (SELECT command_uuid FROM claimed)
        ELSE ${isInTime} END`,
    taken: sql.fragment`
      UNION ALL
      SELECT command_uuid, false FROM asked WHERE command_uuid NOT IN (SELECT command_uuid FROM claimed)`,
  };
}

const holderRow = z
  .object({ command_uuid: z.string(), is_same: z.boolean() })
  .transform(({ command_uuid: uuid, is_same: isSame }) => ({ uuid, isSame }));

/**
 * Finds the command that has a key of a caller, which then stays stored, and whether its request was the same one.
 * @param deadline when nobody waits for the answer any more, by the clock of the database in ms since the epoch: after it
 * no command stays for this.
 */
export function findHolder(db: Connection, { key, fingerprint }: Idempotency, by: CallerName, deadline: number) {
  return db.maybeOne(sql.type(holderRow)`
    WITH holder AS (
      SELECT k.scope, k.key, k.command_uuid, k.fingerprint = ${sql.binary(Buffer.from(fingerprint))} AS is_same,
        k.replayed OR c.status IS DISTINCT FROM 'QUEUED' AS will_stay
      FROM idempotency_keys k LEFT JOIN commands c USING (command_uuid)
      WHERE k.scope = ${scopeOf(by)} AND k.key = ${key} AND NOT ${isExpired}
    ), marked AS (
      UPDATE idempotency_keys k SET replayed = true
      FROM holder h
      WHERE k.scope = h.scope AND k.key = h.key AND k.command_uuid = h.command_uuid AND h.is_same AND NOT h.will_stay
        AND clock_timestamp() < ${new Date(deadline).toISOString()}::timestamptz
      RETURNING k.key
    )
    SELECT command_uuid, is_same FROM holder WHERE will_stay OR NOT is_same OR key IN (SELECT key FROM marked)`);
}

/**
 * Deletes a command that its client was told is not stored, and its key if it has one; not when a repeat was told of it, nor
 * when another node has begun it meanwhile. @returns whether it stays, with a key.
 */
export async function withdrawCommand(
  db: Connection,
  { uuid, createdBy, idempotency }: Pick<NewCommand, 'uuid' | 'createdBy' | 'idempotency'>,
): Promise<boolean> {
  const ofCommand = sql.fragment`
    scope = ${scopeOf(createdBy)} AND key = ${idempotency?.key ?? null} AND command_uuid = ${uuid}`;
  const [stays = false] = await db.anyFirst(sql.type(z.object({ stays: z.boolean() }))`
    WITH waiting AS (
      SELECT command_uuid FROM commands WHERE command_uuid = ${uuid} AND status = 'QUEUED' FOR UPDATE
    ), held AS (
      SELECT FROM idempotency_keys WHERE ${ofCommand}
    ), withdrawn AS (
      DELETE FROM idempotency_keys WHERE ${ofCommand} AND NOT replayed AND EXISTS (SELECT FROM waiting)
      RETURNING command_uuid
    ), gone AS (
      DELETE FROM commands
      WHERE command_uuid IN (SELECT command_uuid FROM waiting)
        AND (EXISTS (SELECT FROM withdrawn) OR NOT EXISTS (SELECT FROM held))
    )
    SELECT EXISTS (SELECT FROM held) AND NOT EXISTS (SELECT FROM withdrawn) AS stays`);
  return stays;
}

/** Deletes at most `limit` of those that have expired. @returns how many. */
export async function trimKeys(db: Connection, limit: number): Promise<number> {
  // Those that are being taken anew right now are passed over.
  const [count = 0] = await db.anyFirst(sql.type(z.object({ count: z.number() }))`
    WITH gone AS (
      DELETE FROM idempotency_keys WHERE (scope, key) IN (
        SELECT scope, key FROM idempotency_keys k WHERE ${isExpired} ORDER BY created_at LIMIT ${limit}
        FOR UPDATE SKIP LOCKED
      )
      RETURNING key
    )
    SELECT count(*) FROM gone`);
  return count;
}
