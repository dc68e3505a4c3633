/** A journal whose statements the test can fail. */
import type { Test } from 'tap';
import { outputLimitOf } from '../../src/command.ts';
import { Changes } from '../../src/persistence/changes.ts';
import { BatchJournal } from '../../src/persistence/journal.ts';
import { Patience } from '../../src/persistence/pool.ts';
import { createReader } from '../../src/persistence/reader.ts';
import { openDatabase } from './database.ts';

/** The number of its server. */
export const OWNER = 7;

/** A journal on a database of its own. */
export async function journalFor(
  t: Test,
  { clockOffsetMs = 0, failingDeletions = 0, outputLimit = outputLimitOf(2 ** 40) } = {},
) {
  const database = await openDatabase(t);
  const retries: string[] = [];
  const refused: string[] = [];
  let queries = 0;
  // Counts what the journal sends, and can fail it.
  let failing: (() => Error | undefined) | undefined;
  const guard = <F extends (...args: never[]) => Promise<unknown>>(run: F): F =>
    (async (...args: never[]) => {
      queries++;
      const error = failing?.();
      const result = await run(...args);
      if (error !== undefined) throw error;
      return result;
    }) as F;
  const { pool } = database;
  const observed = {
    ...pool,
    query: guard(pool.query),
    any: guard(pool.any),
    anyFirst: guard(pool.anyFirst),
    transaction: guard(pool.transaction),
  };
  const changes = new Changes();
  let deletions = 0;
  const anyFirst = async (query: Parameters<typeof pool.anyFirst>[0]) => {
    if (deletions++ < failingDeletions) throw Object.assign(new Error('lost'), { code: 'ECONNRESET' });
    return pool.anyFirst(query);
  };
  const journal = new BatchJournal({
    pool: observed as typeof pool,
    patience: new Patience(60_000),
    readPool: pool,
    deletePool: { ...pool, anyFirst } as typeof pool,
    clockOffsetMs,
    owner: OWNER,
    outputLimit,
    changes,
    onCommitted: () => {},
    onRetry: (error) => retries.push(error.message),
    onRefused: (_, uuid) => refused.push(uuid),
  });
  t.teardown(() => journal.idle());
  return {
    ...database,
    journal,
    changes,
    reader: createReader(pool, new Changes()),
    retries,
    refused,
    queries: () => queries,
    /** Lets the next batches commit and then say that they failed. */
    failAfterCommit(times: number, error: Error) {
      let left = times;
      failing = () => (left-- > 0 ? error : undefined);
    },
  };
}
