/** What a new server does with the commands that servers before it left behind. */
import { setTimeout as delay } from 'node:timers/promises';
import type { DatabasePool } from 'slonik';
import type { Claim } from './claim.ts';
import { adoptQueued, executingOf, loseExecuting, otherOwners, queuedOf } from './commands.ts';

/**
 * How long to wait for the lock of a server that may be gone, in ms: PostgreSQL notices the end of a killed server's
 * connection a moment later. Past that it counts as alive, and keeps its commands.
 */
const PATIENCE_MS = 2000;

export interface Recovered {
  /** Commands that wait to be run, oldest first. */
  queued: { uuid: string; durable: boolean }[];
  /** How many commands were found cut off and are `FAILED`/`lost` now. */
  lost: number;
  /** How many of their processes still lived, and were killed. */
  killed: number;
}

/**
 * Takes over the commands of servers that are gone: what they had running is killed and becomes `lost`, what waited
 * there waits here.
 */
export async function recover(
  pool: DatabasePool,
  claim: Claim,
  killLeftovers: (uuids: readonly string[]) => Promise<number>,
): Promise<Recovered> {
  let lost = 0;
  let killed = 0;
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const owners = await otherOwners(pool, claim.owner);
    for (const owner of owners) {
      if (!(await claim.takeOver(owner))) continue;
      const executing = await executingOf(pool, owner);
      // Killed first: once `lost` shows, nothing of the command lives.
      killed += await killLeftovers(executing);
      await loseExecuting(pool, owner);
      await adoptQueued(pool, owner, claim.owner);
      await claim.release(owner);
      lost += executing.length;
    }
    if ((await otherOwners(pool, claim.owner)).length === 0 || performance.now() > deadline) break;
    await delay(50);
  }
  return { queued: await queuedOf(pool, claim.owner), lost, killed };
}
