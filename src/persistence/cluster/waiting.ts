/** How many commands wait that no node has taken: counted in the database now and then, and kept up to date meanwhile. */
import { setTimeout as delay } from 'node:timers/promises';
import type { DatabasePool } from 'slonik';
import { within } from '../../deadline.ts';
import { StorageUnavailable } from '../../errors.ts';
import { countForNodes } from '../sql/nodes.ts';

/** How many times as long as a count took we wait until the next one: it gets dear when much waits. */
const REST = 20;
/** The same where a new command would be refused else, and how long at least, in ms. */
const AGAIN_REST = 4;
const AGAIN_REST_MS = 100;
/** How long a new command waits for that, in ms. */
const AGAIN_MS = 3000;

export class WaitingCount {
  readonly #pool: DatabasePool;
  #waiting = 0;
  /** How many commands this node has ever put into the queue. */
  #added = 0;
  /** The count that is under way, or about to begin. */
  #counting: Promise<number> | undefined;
  /** When it was counted, by performance.now(), and how long that took. */
  #countedAt = 0;
  #countMs = 0;

  constructor(pool: DatabasePool) {
    this.#pool = pool;
  }

  /** As of the last count, and of what this node has added and taken since. */
  get waiting(): number {
    return this.#waiting;
  }

  add(count: number): void {
    this.#waiting += count;
    this.#added += count;
  }

  take(count: number): void {
    this.#waiting = Math.max(0, this.#waiting - count);
  }

  /** Counts, unless that was done a moment ago. */
  async refresh(): Promise<void> {
    if (performance.now() >= this.#countedAt + this.#countMs * REST) await this.#count(0);
  }

  /** Counts as soon as that is not too much, and tells. @throws StorageUnavailable when it takes too long. */
  again(): Promise<number> {
    const rest = Math.max(AGAIN_REST_MS, this.#countMs * AGAIN_REST);
    const counting = this.#count(this.#countedAt + rest - performance.now());
    return within(AGAIN_MS, counting, () => new StorageUnavailable());
  }

  /** Counts after so many ms; for all who want that meanwhile. */
  #count(restMs: number): Promise<number> {
    this.#counting ??= this.#countAfter(restMs).finally(() => {
      this.#counting = undefined;
    });
    return this.#counting;
  }

  async #countAfter(restMs: number): Promise<number> {
    if (restMs > 0) await delay(restMs);
    const before = performance.now();
    const added = this.#added;
    const counted = await countForNodes(this.#pool);
    // What has come meanwhile may be counted or not: rather twice than not at all.
    this.#waiting = counted + this.#added - added;
    this.#countedAt = performance.now();
    this.#countMs = this.#countedAt - before;
    return this.#waiting;
  }
}
