/** Keeps the events of commands from growing: the latest are for those who were away for a moment. */
import type { DatabasePool } from 'slonik';
import { trimEvents } from './sql/events.ts';

/** How many are kept, and for how long, in ms. */
const KEEP = 100_000;
const MAX_AGE_MS = 24 * 3_600_000;
/** How often the others are deleted, in ms, and how many at once: nobody shall wait for it. */
const EVERY_MS = 60_000;
const AT_ONCE = 5000;

/** Trims from time to time, until `signal` aborts. */
export function trimRegularly(pool: DatabasePool, signal: AbortSignal): void {
  let isTrimming = false;
  const timer = setInterval(async () => {
    if (isTrimming) return;
    isTrimming = true;
    try {
      while ((await trimEvents(pool, KEEP, MAX_AGE_MS, AT_ONCE)) === AT_ONCE && !signal.aborted);
    } catch {
      // The database is away or busy: the next time.
    }
    isTrimming = false;
  }, EVERY_MS).unref();
  signal.addEventListener('abort', () => clearInterval(timer));
}
