import { setTimeout as delay } from 'node:timers/promises';

/**
 * Waits until a condition gives something truthy and returns that; it is asked every few ms.
 * @throws when `deadlineMs` has passed, with the reason `what` for the reader of the test's output.
 */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  deadlineMs = 60_000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`waited ${deadlineMs} ms in vain until ${what}`);
    await delay(10);
  }
}
