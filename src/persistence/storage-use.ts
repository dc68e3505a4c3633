/** What is stored, for those who look often: the database is asked now and then, and nobody waits for it for long. */
import { within } from '../deadline.ts';
import type { StorageUse } from '../ports/watching.ts';

/** How long an answer of the database is good for, in ms. */
const FRESH_MS = 5000;
/** How long whoever wants to know waits for a fresh one, in ms. */
const WAIT_MS = 900;

/**
 * @param read asks the database.
 * @returns what gives the last answer; null when there was none yet. It never rejects.
 */
export function watchStorageUse(read: () => Promise<StorageUse>): () => Promise<StorageUse | null> {
  let known: StorageUse | null = null;
  let readAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;

  const readAgain = async () => {
    try {
      known = await read();
      readAt = performance.now();
    } catch {
      // The database is away or busy: whoever asks next asks it again.
    }
  };
  return async () => {
    if (performance.now() - readAt > FRESH_MS) {
      reading ??= readAgain().finally(() => {
        reading = undefined;
      });
      await within(WAIT_MS, reading, () => new Error('late')).catch(() => {});
    }
    return known;
  };
}
