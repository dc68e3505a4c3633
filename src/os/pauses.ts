/** Pauses between looks at what ends sooner or later. */
import { setTimeout as delay } from 'node:timers/promises';

const FIRST_MS = 2;
const LONGEST_MS = 50;

/** @returns a function that waits, each time twice as long, up to a bound. */
export function growingPauses(): () => Promise<void> {
  let next = FIRST_MS;
  return async () => {
    const pause = next;
    next = Math.min(pause * 2, LONGEST_MS);
    await delay(pause);
  };
}
