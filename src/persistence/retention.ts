/**
 * Retention: deletes commands that ended too long ago, or are too many, or too large together; the oldest first. Of the
 * servers of a database one does it at a time, and counts anew before each batch: two that count the same excess would
 * delete it twice.
 */
import type { DatabasePool } from 'slonik';
import type { Retention } from '../command.ts';
import { type Changes, EVERY_COMMAND } from './changes.ts';
import { regularly } from './regularly.ts';
import { type Deleted, deleteOldest, type Most, takeRetention } from './sql/deletions.ts';
import { addUpTotals, selectTotals, type Totals } from './sql/totals.ts';
import type { Turns } from './turns.ts';

/** How often it is looked whether there is something to do, in ms. */
const EVERY_MS = 60_000;
/** How much is deleted in one transaction: nobody shall wait long for what it has locked. */
export const BATCH = { commands: 500, bytes: 32 * 1024 * 1024 } as const;

/** By which of its bounds retention has deleted something. */
export type RetentionRule = keyof Retention;

/** What retention has deleted at one time. */
export interface Expired {
  rule: RetentionRule;
  commands: number;
  bytes: number;
}

export interface RetentionOptions {
  retention: Retention;
  pool: DatabasePool;
  turns: Turns;
  changes: Changes;
  /** Told of what was deleted by a rule, if anything, also where it has failed in the end. */
  onExpired: (expired: Expired) => void;
  /** Told why not all could be deleted; the next time tries again. */
  onRetentionFailed: (error: unknown) => void;
}

/** Applies retention from time to time, until `signal` aborts. */
export function retainRegularly(options: RetentionOptions, signal: AbortSignal): void {
  regularly(EVERY_MS, signal, () => applyRetention(options, signal), options.onRetentionFailed);
}

/** Deletes all that is to be deleted now; stops between two batches when `signal` aborts. */
export async function applyRetention(
  { retention, pool, turns, changes, onExpired }: Omit<RetentionOptions, 'onRetentionFailed'>,
  signal: AbortSignal,
): Promise<void> {
  await turns(() => addUpTotals(pool));
  for (const rule of ['age', 'count', 'bytes'] as const) {
    const bound = retention[rule];
    if (bound === undefined) continue;
    const expired: Expired = { rule, commands: 0, bytes: 0 };
    let from = 0;
    try {
      while (!signal.aborted) {
        const deleted = await turns(() => deleteBatch(pool, (totals) => excessOf(rule, bound, totals), from));
        if (deleted?.lastEndedAt == null) break;
        from = deleted.lastEndedAt;
        expired.commands += deleted.commands;
        expired.bytes += deleted.bytes;
        changes.tell(EVERY_COMMAND);
      }
    } finally {
      if (expired.commands > 0) onExpired(expired);
    }
  }
}

/** Null when there is nothing to be deleted, or another server does it. */
function deleteBatch(pool: DatabasePool, mostOf: (totals: Totals) => Most, from: number): Promise<Deleted | null> {
  return pool.transaction(async (db) => {
    // In a statement of its own: what counts has to see all that was deleted before the lock was free.
    if (!(await takeRetention(db))) return null;
    const most = mostOf(await selectTotals(db));
    return most.commands > 0 && most.bytes > 0 ? deleteOldest(db, most, from) : null;
  });
}

/** What is to be deleted next. */
function excessOf(rule: RetentionRule, bound: number, totals: Totals): Most {
  switch (rule) {
    case 'age':
      return { ...BATCH, olderThanS: bound };
    case 'count':
      return { ...BATCH, commands: Math.min(BATCH.commands, totals.commands - bound) };
    case 'bytes':
      return { ...BATCH, bytes: Math.min(BATCH.bytes, totals.bytes - bound) };
    default:
      return rule satisfies never;
  }
}
