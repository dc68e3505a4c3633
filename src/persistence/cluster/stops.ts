/** Stops of commands that this node does not run: they may be anywhere, and be taken by a node at this moment. */
import { setTimeout as delay } from 'node:timers/promises';
import type { DatabasePool } from 'slonik';
import type { CallerName, TerminalStatus } from '../../command.ts';
import { within } from '../../deadline.ts';
import { CommandNotFound, StopNotStored } from '../../errors.ts';
import type { NodeWork } from '../../ports/nodes.ts';
import { isUnavailable } from '../pool.ts';
import { selectPlace } from '../sql/nodes.ts';
import { NOBODY } from '../sql/owners.ts';
import { stopWaiting } from '../sql/stops.ts';
import { sendControl } from './control.ts';
import type { JobQueue } from './jobs.ts';

/** How often we look whether a command has ended, in ms. */
const LOOK_MS = 50;
/** After how long a node is asked again to stop a command, in ms: it may not have heard it. */
const REMIND_MS = 1000;

/** A stop under way: all who want it share one. */
interface RemoteStop {
  /** Who wanted it first. */
  by: CallerName;
  kill: boolean;
  /** Until when somebody waits for its end, by performance.now(). */
  deadline: number;
  /** When its node is to be asked, or asked again, by performance.now(). */
  remindAt: number;
  ended: Promise<TerminalStatus>;
}

export interface RemoteStopsOptions {
  pool: DatabasePool;
  jobs: JobQueue;
  /** The number of this node. */
  owner: number;
  /** What this node has; undefined: nothing yet. */
  here: () => NodeWork | undefined;
}

export class RemoteStops {
  readonly #options: RemoteStopsOptions;
  readonly #stops = new Map<string, RemoteStop>();

  constructor(options: RemoteStopsOptions) {
    this.#options = options;
  }

  /**
   * Stops a command wherever it is. @returns how it has ended, once that is stored. @throws CommandNotFound; StopNotStored
   * after `ms`, the stop goes on.
   */
  stop(uuid: string, by: CallerName, kill: boolean, ms: number): Promise<TerminalStatus> {
    const deadline = performance.now() + ms;
    let stop = this.#stops.get(uuid);
    if (stop === undefined) {
      stop = { by, kill, deadline, remindAt: 0, ended: Promise.resolve<TerminalStatus>('STOPPED') };
      stop.ended = this.#stop(uuid, stop)
        .catch((error) => {
          throw isUnavailable(error) ? new StopNotStored() : error;
        })
        .finally(() => this.#stops.delete(uuid));
      this.#stops.set(uuid, stop);
    } else {
      stop.deadline = deadline;
      if (kill && !stop.kill) {
        stop.kill = true;
        stop.remindAt = 0;
      }
    }
    return within(ms, stop.ended, () => new StopNotStored());
  }

  async #stop(uuid: string, stop: RemoteStop): Promise<TerminalStatus> {
    const { pool, jobs, owner: self, here } = this.#options;
    for (;;) {
      const place = await selectPlace(pool, uuid);
      if (place === null) throw new CommandNotFound();
      const { owner, status, label } = place;
      if (status !== 'QUEUED' && status !== 'EXECUTING') return status;
      if (performance.now() > stop.deadline) throw new StopNotStored();
      if (owner === NOBODY) {
        await pool.transaction(async (db) => {
          // In the order in which it would be taken: the job, then the command.
          await jobs.remove(db, { uuid, label: label ?? undefined });
          await stopWaiting(db, uuid, stop.by);
        });
        continue;
      }
      if (owner === self) {
        here()?.stop(uuid, stop.by, stop.kill);
      } else if (performance.now() >= stop.remindAt) {
        stop.remindAt = performance.now() + REMIND_MS;
        await sendControl(pool, { type: 'stop', to: owner, uuid, by: stop.by, kill: stop.kill });
      }
      await delay(LOOK_MS);
    }
  }
}
