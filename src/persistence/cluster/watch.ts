/**
 * Looks after the other nodes: who of them is gone, and then takes what it had.
 *
 * A node says that it lives by its heartbeat, which pg-boss keeps, and by the lock of its claim. One whose heartbeat stays
 * behind ours, and that does not want its lock back, is given up: it is fenced, so that nothing that it stores from then on
 * counts, and what it had runs again or is `lost`. Measured against our own heartbeat, not the time: where PostgreSQL was
 * away, nobody's has come, and none is behind.
 */
import type { DatabasePool } from 'slonik';
import type { ProcessRunner } from '../../ports/process.ts';
import type { Claim } from '../claim.ts';
import { SessionLingers } from '../fence.ts';
import { endOwner, takeFrom } from '../recovery.ts';
import { fenceNode, type StoredNode } from '../sql/nodes.ts';
import { NOBODY, otherOwners } from '../sql/owners.ts';
import { type JobQueue, jobOf } from './jobs.ts';

/**
 * Of the time after which a node counts as lost: how much older than ours its last heartbeat must be, and for how long it
 * must then look so, since PostgreSQL may have been away, and who is back first must not judge the others.
 */
const QUIET_SHARE = 0.6;
const DOUBT_SHARE = 0.2;
/** How long we hold the locks of nodes that seem to be gone before we believe it, in ms: one that lives wants it back. */
const WANT_BACK_MS = 2000;

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
  onLost: (node: { owner: number; executing: number; killed: number }) => void;
}

export class NodeWatch {
  readonly #options: WatchOptions;
  /** Since when nodes seem to be gone, by performance.now(). */
  readonly #suspects = new Map<number, number>();

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** Looks once. @param nodes all that are known. */
  async look(nodes: readonly StoredNode[]): Promise<void> {
    const { pool, claim, lostMs } = this.#options;
    const present = nodes.filter(({ left_at, fenced_at }) => left_at === null && fenced_at === null);
    // Also who is no node, or was given up in the middle of this, and still has something.
    const owners = new Set([...present.map(({ owner }) => owner), ...(await otherOwners(pool, claim.owner))]);
    owners.delete(claim.owner);
    const known = new Set(nodes.map(({ owner }) => owner));
    const quiet: number[] = [];
    for (const owner of await this.#quietOf([...owners])) {
      // A server that is no node has no heartbeat, and lives as long as it holds its lock.
      if (known.has(owner) || !(await claim.lookAtLock(owner)).isTaken) quiet.push(owner);
    }
    for (const owner of this.#suspects.keys()) if (!quiet.includes(owner)) this.#suspects.delete(owner);
    const now = performance.now();
    for (const owner of quiet) if (!this.#suspects.has(owner)) this.#suspects.set(owner, now);
    // It may be just starting again, for as long as a node may say nothing.
    const doubtMs = (owner: number) => lostMs * (known.has(owner) ? DOUBT_SHARE : 1);
    const gone = quiet.filter((owner) => now - (this.#suspects.get(owner) ?? now) >= doubtMs(owner));
    if (gone.length > 0) await this.#takeOver(gone, known);
  }

  /** Which of these owners say nothing. None while we do not either. */
  async #quietOf(owners: readonly number[]): Promise<number[]> {
    const { claim, jobs, lostMs } = this.#options;
    const heartbeats = await jobs.heartbeats();
    const ours = heartbeats.get(claim.owner);
    return ours === undefined ? [] : owners.filter((owner) => isQuiet(ours, heartbeats.get(owner), lostMs));
  }

  async #takeOver(gone: readonly number[], nodes: ReadonlySet<number>): Promise<void> {
    const { claim } = this.#options;
    const held: number[] = [];
    try {
      for (const owner of gone) if (await this.#takeLock(owner, nodes.has(owner))) held.push(owner);
      const left = await claim.areLeft(held, WANT_BACK_MS);
      // Who wants it back lives. Asked for again at each look, it would do nothing else than want it back.
      for (const owner of held) if (!left.includes(owner)) this.#suspects.set(owner, performance.now());
      for (const owner of await this.#quietOf(left)) await this.#giveUp(owner);
    } finally {
      for (const owner of held) await claim.release(owner);
    }
  }

  async #takeLock(owner: number, isNode: boolean): Promise<boolean> {
    const { claim } = this.#options;
    if (await claim.takeOver(owner)) return true;
    if (!isNode) return false;
    // A node that does nothing, or that a network has cut off: PostgreSQL may not know for hours.
    await claim.endHolder(owner).catch((error) => {
      // It is tried again with the next look; the others shall not wait for that.
      if (!(error instanceof SessionLingers)) throw error;
    });
    return claim.takeOver(owner);
  }

  async #giveUp(owner: number): Promise<void> {
    const { pool, claim, jobs, runner, onLost } = this.#options;
    await fenceNode(pool, owner);
    const found = await endOwner(pool, claim, runner, owner);
    await takeFrom(pool, owner, NOBODY, (db, commands) => jobs.add(db, commands.map(jobOf)));
    this.#suspects.delete(owner);
    onLost({ owner, ...found });
  }
}
