/**
 * What a client has sent before it was killed or cut off may still wait, or be under way, in its old session, and take
 * effect at any time. Whoever goes on with its work ends those sessions first, found by the name they gave themselves.
 */
import { setTimeout as delay } from 'node:timers/promises';

/** How the session of the journal that writes this owner's commands is named. */
export const journalName = (owner: number) => `shellvisor journal ${owner}`;
/** How the session that holds this owner's lock is named. */
export const claimName = (owner: number) => `shellvisor claim ${owner}`;

/** How the session is named that takes commands for this owner out of the queue of all nodes. */
export const takerName = (owner: number) => `shellvisor taker ${owner}`;

/** The URL under which a session has this name, whatever name the database's own URL gives. */
export function namedUrl(databaseUrl: string, name: string): string {
  const url = new URL(databaseUrl);
  url.searchParams.set('application_name', name);
  return url.href;
}

/** An earlier session has not ended yet; it may take a moment longer. */
export class SessionLingers extends Error {
  constructor(name: string) {
    super(`an earlier session named "${name}" has not ended yet`);
  }
}

type Query = (
  text: string,
  values: unknown[],
) => Promise<{ readonly rows: readonly Readonly<Record<string, unknown>>[] }>;

/** How often we look whether they have ended, and how long a pause lies between, in ms. */
const LOOKS = 40;
const PAUSE_MS = 25;

/**
 * Ends all other sessions of this name, and resolves when they are gone. @throws SessionLingers when one does not end.
 * @param holding ends only those that hold this advisory lock now: not who waits for it, and has it then.
 */
export async function endSessions(query: Query, name: string, holding?: readonly [number, number]): Promise<void> {
  const [space = null, lock = null] = holding ?? [];
  let holders: unknown[] | null = null;
  // A role that the URL asks for may neither see nor end the sessions of the user who logs in, which ours all are.
  await query('SET ROLE NONE', []);
  let areGone = false;
  for (let look = 0; look < LOOKS && !areGone; look++) {
    if (look > 0) await delay(PAUSE_MS);
    const { rows } = await query(
      `SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity a
       WHERE application_name = $1 AND datname = current_database() AND usename = session_user
         AND pid <> pg_backend_pid()
         AND ($2::int IS NULL OR EXISTS (
           SELECT FROM pg_locks l
           WHERE l.pid = a.pid AND l.granted AND l.locktype = 'advisory' AND l.classid = $2 AND l.objid = $3::int))
         AND ($4::int[] IS NULL OR pid = ANY($4))`,
      [name, space, lock, holders],
    );
    if (holding !== undefined) holders ??= rows.map(({ pid }) => pid);
    areGone = rows.length === 0;
  }
  await query('RESET ROLE', []);
  if (!areGone) throw new SessionLingers(name);
}
