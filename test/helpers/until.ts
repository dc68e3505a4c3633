import { setTimeout as delay } from 'node:timers/promises';

/** The shortest and the longest pause between two looks, in ms. */
const PAUSE_MS = [10, 100] as const;
/** Of what we have waited so far, the part that we wait until we look again. A look at a server costs it milliseconds. */
const SHARE = 0.1;

/**
 * Waits until a condition gives something truthy and returns that; it is asked ever less often.
 * @throws when `deadlineMs` has passed, with the reason `what` for the reader of the test's output.
 */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  deadlineMs = 60_000,
): Promise<NonNullable<T>> {
  const [shortest, longest] = PAUSE_MS;
  for (const start = performance.now(); ; ) {
    const value = await condition();
    if (value) return value;
    const waited = performance.now() - start;
    if (waited > deadlineMs) throw new Error(`waited ${deadlineMs} ms in vain until ${what}`);
    await delay(Math.min(longest, Math.max(shortest, waited * SHARE)));
  }
}
