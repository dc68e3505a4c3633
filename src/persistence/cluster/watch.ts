/**
 * Looks after the other nodes: who of them is gone, and then takes what it had.
 *
 * A node says that it lives by its heartbeat, which pg-boss keeps, and by the lock of its claim. One whose heartbeat stays
 * behind ours, and that does not want its lock back, is given up: it is fenced, so that nothing that it stores from then on
 * counts, and what it had runs again or is `lost`. Measured against our own heartbeat, not the time: where PostgreSQL was
 * away, nobody's has come, and none is behind.
 */
import type { DatabasePool } from 'slonik';
import type { ProcessRunner } from '../../ports.ts';
import type { Claim } from '../claim.ts';
import { claimName, endSessions } from '../fence.ts';
import { endOwner, takeFrom } from '../recovery.ts';
import { fenceNode, type StoredNode } from '../sql/nodes.ts';
import { NOBODY, otherOwners, type WaitingCommand } from '../sql/owners.ts';
import type { JobQueue } from './jobs.ts';

/**
 * Of the time after which a node counts as lost: how much older than ours its last heartbeat must be; for how long it must
 * then look so, since PostgreSQL may have been away, and who is back first must not judge the others; and for how long we
 * hold its lock before we believe it, since one that lives wants it back.
 */
const QUIET_SHARE = 0.6;
const DOUBT_SHARE = 0.2;
const WANT_BACK_SHARE = 0.1;
/** How many heartbeats are missing when a node begins to look lost. */
const MISSED = 4;

/** How often nodes must say that they live, in seconds. */
export const heartbeatSeconds = (lostMs: number) => Math.max(1, Math.floor((lostMs * QUIET_SHARE) / MISSED / 1000));

/** Whether a node says nothing: `ours` and `its` are the last heartbeats of whoever looks and of it. */
export const isQuiet = (ours: number, its: number | undefined, lostMs: number) =>
  ours - (its ?? 0) > lostMs * QUIET_SHARE;

export interface WatchOptions {
  pool: DatabasePool;
  jobs: JobQueue;
  claim: Claim;
  runner: Pick<ProcessRunner, 'killLeftovers'>;
  /** After how long without a sign of life a node counts as lost, in ms. */
  lostMs: number;
  /** Told when a node was given up, and of what it had. */
  onLost: (node: { owner: number; executing: number; killed: number; waiting: number }) => void;
}

export class NodeWatch {
  readonly #options: WatchOptions;
  /** Since when nodes seem to be gone, by performance.now(). */
  readonly #suspects = new Map<number, number>();

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** Looks once. @param nodes all that are known. */
  async look(nodes: readonly StoredNode[], heartbeats: ReadonlyMap<number, number>): Promise<void> {
    const { pool, claim, lostMs } = this.#options;
    const ours = heartbeats.get(claim.owner);
    if (ours === undefined) return;
    const owners = await otherOwners(pool, claim.owner);
    const quiet = owners.filter((owner) => isQuiet(ours, heartbeats.get(owner), lostMs));
    for (const owner of this.#suspects.keys()) if (!quiet.includes(owner)) this.#suspects.delete(owner);
    const now = performance.now();
    for (const owner of quiet) {
      const since = this.#suspects.get(owner) ?? now;
      this.#suspects.set(owner, since);
      if (now - since < lostMs * DOUBT_SHARE) continue;
      await this.#takeOver(
        owner,
        nodes.some((node) => node.owner === owner),
      );
    }
  }

  async #takeOver(owner: number, isNode: boolean): Promise<void> {
    const { pool, claim, jobs, runner, lostMs, onLost } = this.#options;
    if (!(await claim.takeOver(owner))) {
      // A server without a heartbeat, of a time before the cluster, lives as long as it holds its lock.
      if (!isNode) return;
      // A node that does nothing, or that a network has cut off: PostgreSQL may not know for hours.
      await endSessions((text, values) => claim.query(text, values), claimName(owner));
      if (!(await claim.takeOver(owner))) return;
    }
    try {
      if (!(await claim.isLeft(owner, lostMs * WANT_BACK_SHARE))) return;
      await fenceNode(pool, owner);
      let waiting: WaitingCommand[] = [];
      const found = await endOwner(pool, claim, runner, owner, async (db) => {
        waiting = await takeFrom(db, owner, NOBODY);
        await jobs.add(
          db,
          waiting.map(({ uuid, options }) => ({ uuid, label: options.nodeLabel })),
        );
      });
      onLost({ owner, ...found, waiting: waiting.length });
    } finally {
      await claim.release(owner);
      this.#suspects.delete(owner);
    }
  }
}
