/**
 * Takes commands out of the queue of all nodes while this node has free slots.
 *
 *   resting ── wake ──▶ taking ── as many as asked for ──▶ taking
 *                          └── fewer, or no free slot ──▶ resting
 *
 * Invariants:
 * - One look is under way at a time; what wakes it meanwhile leads to another one.
 * - What was taken and not admitted, since the answer to a commit got lost, is admitted before anything else is taken; so
 *   is what the server before this one had under way.
 */
import type { DatabasePool } from 'slonik';
import type { NodeWork } from '../../ports/nodes.ts';
import type { Connection } from '../sql/connection.ts';
import { countTaken, mayTake, selectShares, takeCommands } from '../sql/nodes.ts';
import { queuedOf, type WaitingCommand } from '../sql/owners.ts';
import type { JobQueue } from './jobs.ts';

/** Most commands that are taken at once: others shall have some too. */
const AT_ONCE = 64;

export interface TakerOptions {
  /** Nothing that an earlier session of it has sent takes effect once a later one is asked. */
  pool: DatabasePool;
  jobs: JobQueue;
  owner: number;
  labels: readonly string[];
  /** How many commands all nodes may run together. */
  maxTaken: number | undefined;
  /** Told of what was taken, before it is admitted. */
  onTaken: (commands: readonly WaitingCommand[]) => void;
  onError: (error: unknown) => void;
}

export class Taker {
  readonly #options: TakerOptions;
  #node: NodeWork | undefined;
  #isAwake = false;
  /** Whether there may be something to take: a slot that is free is no reason to look otherwise. */
  #mayHaveJobs = true;
  #isInDoubt = true;
  #taking: Promise<void> | undefined;

  constructor(options: TakerOptions) {
    this.#options = options;
  }

  /** Takes commands for a node from now on. */
  serve(node: NodeWork): void {
    this.#node = node;
    this.look();
  }

  /** There may be something to take. */
  look(): void {
    this.#mayHaveJobs = true;
    this.wake();
  }

  /** A slot may be free. */
  wake(): void {
    if (this.#node === undefined || !this.#mayHaveJobs) return;
    this.#isAwake = true;
    this.#taking ??= this.#run(this.#node).finally(() => {
      this.#taking = undefined;
      if (this.#isAwake) this.wake();
    });
  }

  /** Takes nothing more, and resolves when nothing is under way. */
  async rest(): Promise<void> {
    this.#node = undefined;
    this.#isAwake = false;
    await this.#taking;
  }

  async #run(node: NodeWork): Promise<void> {
    while (this.#isAwake && this.#node !== undefined) {
      this.#isAwake = false;
      const limit = Math.min(node.freeSlots(), AT_ONCE);
      if (limit <= 0) return;
      try {
        this.#mayHaveJobs = false;
        const wasInDoubt = this.#isInDoubt;
        const taken = wasInDoubt ? await this.#forgotten(node) : await this.#take(limit);
        if (wasInDoubt) this.#isAwake = this.#mayHaveJobs = true;
        this.#isInDoubt = false;
        this.#options.onTaken(taken);
        node.admit(taken);
      } catch (error) {
        this.#isInDoubt = this.#mayHaveJobs = true;
        this.#options.onError(error);
      }
    }
  }

  async #forgotten(node: NodeWork): Promise<WaitingCommand[]> {
    const waiting = await queuedOf(this.#options.pool, this.#options.owner);
    return waiting.filter(({ uuid }) => !node.has(uuid));
  }

  #take(limit: number): Promise<WaitingCommand[]> {
    const { pool, owner, maxTaken } = this.#options;
    return pool.transaction(async (db) => {
      if (!(await mayTake(db, owner))) return [];
      const free = maxTaken === undefined ? limit : Math.min(limit, maxTaken - (await countTaken(db)));
      // What the others end then is no news here.
      if (free < limit) this.#mayHaveJobs = true;
      if (free <= 0) return [];
      const uuids: string[] = [];
      for (const [label, count] of await this.#shares(db, free)) {
        uuids.push(...(await this.#options.jobs.take(db, label, count)));
      }
      // Also where nobody wants some of them any more: there may be others behind those.
      if (uuids.length === limit) this.#isAwake = this.#mayHaveJobs = true;
      return uuids.length === 0 ? [] : takeCommands(db, owner, uuids);
    });
  }

  /** How many of which queue are the oldest: pg-boss knows the order in each, and not that between them. */
  async #shares(db: Connection, limit: number): Promise<[string | undefined, number][]> {
    const { labels } = this.#options;
    if (labels.length === 0) return [[undefined, limit]];
    return (await selectShares(db, labels, limit)).map(({ label, count }) => [label ?? undefined, count]);
  }
}
