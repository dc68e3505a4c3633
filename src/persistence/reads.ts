/** Look-ups that a client waits for. */
import type { DatabasePool } from 'slonik';
import { within } from '../deadline.ts';
import { StorageUnavailable } from '../errors.ts';
import type { Connection } from './sql/connection.ts';

/** How long a client waits for one, in ms, all waiting for a connection included. */
export const READ_MS = 5000;

/** Makes a look-up. @throws StorageUnavailable when it takes longer than `READ_MS`. */
export type InTime = <T>(run: (db: Connection) => Promise<T>) => Promise<T>;

export function inTime(pool: DatabasePool): InTime {
  return (run) => {
    let late = false;
    // One whose client is gone by the time it gets its connection would only keep the others waiting.
    const result = pool.connect(async (db) => (late ? (undefined as never) : run(db)));
    return within(READ_MS, result, () => {
      late = true;
      return new StorageUnavailable();
    });
  };
}
