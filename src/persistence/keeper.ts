/** Pins, and deletions of all commands of a filter: plain statements, that need not know which server has run what. */
import type { DatabasePool } from 'slonik';
import { within } from '../deadline.ts';
import { CommandNotFound, PinInDoubt, PruneBrokenOff, PruneInDoubt } from '../errors.ts';
import type { CommandKeeper } from '../ports/reader.ts';
import { type Changes, EVERY_COMMAND } from './changes.ts';
import { isUnavailable } from './pool.ts';
import { BATCH } from './retention.ts';
import { pinCommand } from './sql/commands.ts';
import type { Connection } from './sql/connection.ts';
import { countKept, deleteCommands, type Found, findDeletable, type IdRange, selectIdRange } from './sql/deletions.ts';
import type { SearchArea } from './sql/filters.ts';
import { GramStatistics, SEGMENT_IDS } from './sql/search.ts';
import type { Turns } from './turns.ts';

/** How long a client waits for one statement, in ms, waiting for its turn included. */
const STEP_MS = 5000;
/** In how many ids one statement looks for what is to be deleted: few enough to be quick, whatever the filter. */
const STRIDE_SEGMENTS = 5;

export interface KeeperOptions {
  /** For what clients wait for in the meantime. */
  pool: DatabasePool;
  deletePool: DatabasePool;
  turns: Turns;
  changes: Changes;
}

export function createKeeper({ pool, deletePool, turns, changes }: KeeperOptions): CommandKeeper {
  const statistics = new GramStatistics();
  return {
    async pin(uuid, pinned) {
      const pinning = within(STEP_MS, pinCommand(pool, uuid, pinned), () => new PinInDoubt());
      const isThere = await pinning.catch((error) => {
        throw isUnavailable(error) ? new PinInDoubt() : error;
      });
      if (!isThere) throw new CommandNotFound();
    },

    async prune(filter, dryRun, signal) {
      let found = 0;
      let deleted = 0;
      const step = async <T>(act: (db: Connection) => Promise<T>): Promise<T> => {
        if (signal.aborted) throw new PruneBrokenOff(deleted);
        try {
          return await within(
            STEP_MS,
            turns(() => act(deletePool)),
            () => new PruneInDoubt(deleted),
          );
        } catch (error) {
          throw isUnavailable(error) ? new PruneInDoubt(deleted) : error;
        }
      };
      // What comes from now on has a later id.
      const all = await step(selectIdRange);
      const { text } = filter;
      const grams = text === undefined ? undefined : await step((db) => statistics.rarest(db, text));
      for (const { range, area } of stridesOf(all, grams)) {
        const commands = await step((db) => findDeletable(db, filter, range, area));
        found += commands.ids.length;
        for (const ids of dryRun ? [] : batchesOf(commands)) {
          deleted += await step((db) => deleteCommands(db, ids));
          changes.tell(EVERY_COMMAND);
        }
      }
      const kept = await step((db) => countKept(db, filter, all.last));
      return { deleted: dryRun ? found : deleted, kept };
    },
  };
}

/** All ids, oldest first, in parts that are looked through at once. */
function* stridesOf({ first, last }: IdRange, grams: readonly number[] | undefined) {
  const strideIds = STRIDE_SEGMENTS * SEGMENT_IDS;
  for (let from = first - (first % strideIds); from <= last; from += strideIds) {
    const segments = Array.from({ length: STRIDE_SEGMENTS }, (_, i) => from / SEGMENT_IDS + i);
    const area: SearchArea | undefined = grams && { grams, segments };
    yield { range: { first: from, last: Math.min(from + strideIds - 1, last) }, area };
  }
}

/** What was found, in parts that are deleted in one transaction each. */
function* batchesOf({ ids, bytes }: Found): Generator<number[]> {
  let batch: number[] = [];
  let size = 0;
  for (const [i, id] of ids.entries()) {
    batch.push(id);
    size += bytes[i] ?? 0;
    if (batch.length < BATCH.commands && size < BATCH.bytes) continue;
    yield batch;
    batch = [];
    size = 0;
  }
  if (batch.length > 0) yield batch;
}
