/** Deletes from time to time what has been kept for long enough: a little at once, since nobody shall wait for it. */
import type { DatabasePool } from 'slonik';
import { regularly } from './regularly.ts';
import { trimEvents } from './sql/events.ts';
import { trimKeys } from './sql/idempotency-keys.ts';

/** How many events of commands are kept, and for how long, in ms: they are for those who were away for a moment. */
const KEPT_EVENTS = 100_000;
const EVENT_AGE_MS = 24 * 3_600_000;
/** How often the others are deleted, in ms, and how many at once. */
const EVERY_MS = 60_000;
const AT_ONCE = 5000;

/** Trims from time to time, until `signal` aborts. */
export function trimRegularly(pool: DatabasePool, signal: AbortSignal, everyMs = EVERY_MS): void {
  for (const trim of [() => trimEvents(pool, KEPT_EVENTS, EVENT_AGE_MS, AT_ONCE), () => trimKeys(pool, AT_ONCE)]) {
    regularly(everyMs, signal, async () => {
      while ((await trim()) === AT_ONCE && !signal.aborted);
    });
  }
}
