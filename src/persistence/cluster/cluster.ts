/** One node of a cluster: what it takes, what it tells the others, and what it does for those that are gone. */
import { setTimeout as delay } from 'node:timers/promises';
import type { DatabasePool } from 'slonik';
import type { CallerName, NewCommand, TerminalStatus } from '../../command.ts';
import { within } from '../../deadline.ts';
import {
  CommandNotFound,
  NodeFenced,
  NodeNotFound,
  NodeUnknown,
  StopNotStored,
  StorageUnavailable,
} from '../../errors.ts';
import type { NodeState, Nodes, NodeWork, ProcessRunner, SharedQueue } from '../../ports.ts';
import type { Claim } from '../claim.ts';
import { isUnavailable } from '../pool.ts';
import { adoptAll } from '../recovery.ts';
import { regularly } from '../regularly.ts';
import type { Connection } from '../sql/connection.ts';
import {
  type BusyNode,
  countForNodes,
  leaveNode,
  type NodeRow,
  registerNode,
  type StoredNode,
  selectBusyNodes,
  selectNodes,
  selectPlace,
  selectStale,
  setDraining,
} from '../sql/nodes.ts';
import { NOBODY, type WaitingCommand } from '../sql/owners.ts';
import { stopWaiting } from '../sql/stops.ts';
import { type ControlMessage, hearControl, sendControl } from './control.ts';
import { JobQueue, jobOf } from './jobs.ts';
import { Taker } from './taker.ts';
import { isQuiet, NodeWatch, type WatchOptions } from './watch.ts';

/** How often a node looks after itself, the queue and the others, in ms. */
const LOOK_MS = 1000;
/** How many times as long as it took we wait until we count again what waits: that gets dear when it is much. */
const COUNT_REST = 20;
/** The same where a new command would be refused else, and how long at least, in ms. */
const COUNT_AGAIN_REST = 4;
const COUNT_AGAIN_REST_MS = 100;
/** How long a new command waits for that, in ms. */
const COUNT_AGAIN_MS = 3000;
/** How often we look for commands that wait without a job, in ms, and for how many of them. */
const REPAIR_MS = 5000;
const REPAIRED = 1000;
/** How long a node that shuts down waits for the database to let it leave, in ms. */
const LEAVE_MS = 3000;
/** How often whoever stops a command elsewhere looks whether it has ended, in ms. */
const STOP_LOOK_MS = 50;
/** After how long a node is asked again to stop a command, in ms: it may not have heard it. */
const REMIND_MS = 1000;

export interface ClusterOptions {
  databaseUrl: string;
  pool: DatabasePool;
  /** Of one connection, whose sessions end those before them: what these have under way takes no effect later. */
  takerPool: DatabasePool;
  claim: Claim;
  runner: Pick<ProcessRunner, 'killLeftovers'>;
  node: Omit<NodeRow, 'owner'>;
  /** How many commands all nodes may run together; undefined: as many as they have slots. */
  maxTaken: number | undefined;
  /** After how long without a sign of life a node counts as lost, in ms. */
  lostMs: number;
  /** Called before commands that were taken are admitted. */
  onTaken: (commands: readonly WaitingCommand[]) => void;
  /** Called when the others have given this node up: it has to begin anew, as another one. */
  onFenced: () => void;
  onLost: WatchOptions['onLost'];
  /** Told of what has failed and is tried again. */
  onError: (error: unknown) => void;
}

/** A stop of a command that this node does not run: all who want it share one. */
interface RemoteStop {
  /** Who wanted it first. */
  by: CallerName;
  kill: boolean;
  /** When its node is to be asked, or asked again, by performance.now(). */
  remindAt: number;
  ended: Promise<TerminalStatus>;
}

export class Cluster implements SharedQueue, Nodes {
  readonly #options: ClusterOptions;
  readonly #jobs: JobQueue;
  readonly #taker: Taker;
  readonly #watch: NodeWatch;
  readonly #closing = new AbortController();
  readonly #stops = new Map<string, RemoteStop>();
  #node: NodeWork | undefined;
  #nodes: readonly StoredNode[] = [];
  #waiting = 0;
  /** How many commands this node has ever put into the queue. */
  #enqueued = 0;
  /** The count that is under way, or about to begin. */
  #counting: Promise<number> | undefined;
  /** When what waits was counted, by performance.now(), and how long that took. */
  #countedAt = 0;
  #countMs = 0;
  #isFailing = false;

  private constructor(options: ClusterOptions, jobs: JobQueue, taker: Taker) {
    const { pool, claim, runner, lostMs, onLost } = options;
    this.#options = options;
    this.#jobs = jobs;
    this.#taker = taker;
    this.#watch = new NodeWatch({ pool, jobs, claim, runner, lostMs, onLost });
  }

  /**
   * Joins. @throws NodeFenced when the others have given this owner number up; else when the database can't be reached.
   */
  static async join(options: ClusterOptions): Promise<Cluster> {
    const { databaseUrl, pool, takerPool, claim, node } = options;
    const { owner } = claim;
    const { labels } = node;
    let taker: Taker | undefined;
    let cluster: Cluster | undefined;
    const onError = (error: unknown) => (cluster === undefined ? options.onError(error) : cluster.#fail(error));
    const jobs = await JobQueue.open({
      databaseUrl,
      owner,
      labels,
      listen: async (...args) => {
        await claim.listen(...args);
        // It ends with the claim.
        return { close: async () => {} };
      },
      onJobs: () => taker?.look(),
      onError,
    });
    try {
      // Its heartbeat is there first: nobody sees a node without.
      if (!(await registerNode(pool, { ...node, owner }))) throw new NodeFenced();
      const onTaken: ClusterOptions['onTaken'] = (commands) => {
        joined.#waiting = Math.max(0, joined.#waiting - commands.length);
        options.onTaken(commands);
      };
      taker = new Taker({ pool: takerPool, jobs, owner, labels, maxTaken: options.maxTaken, onTaken, onError });
      const joined: Cluster = new Cluster(options, jobs, taker);
      cluster = joined;
      await hearControl(claim, (message) => joined.#hear(message));
      await joined.#read();
      return joined;
    } catch (error) {
      await jobs.close();
      throw error;
    }
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Whether this node has a command. */
  has(uuid: string): boolean {
    return this.#node?.has(uuid) ?? false;
  }

  countWaiting(): Promise<number> {
    const rest = Math.max(COUNT_AGAIN_REST_MS, this.#countMs * COUNT_AGAIN_REST);
    const counting = this.#count(this.#countedAt + rest - performance.now());
    return within(COUNT_AGAIN_MS, counting, () => new StorageUnavailable());
  }

  isOfKind(label: string | undefined): boolean {
    return label === undefined || this.#options.node.labels.includes(label);
  }

  async demandKind(label: string): Promise<void> {
    if (this.#kinds().has(label)) return;
    await this.#read();
    const kinds = this.#kinds();
    if (!kinds.has(label)) throw new NodeUnknown(label, [...kinds].sort());
  }

  /** Puts commands into the queue, by the transaction that stores them. */
  async enqueue(db: Connection, commands: readonly Pick<NewCommand, 'uuid' | 'options'>[]): Promise<void> {
    await this.#jobs.add(db, commands.map(jobOf));
    this.#waiting += commands.length;
    this.#enqueued += commands.length;
  }

  serve(node: NodeWork): void {
    this.#node = node;
    this.#taker.serve(node);
    const { signal } = this.#closing;
    const onError = (error: unknown) => this.#fail(error);
    regularly(LOOK_MS, signal, () => this.#lookAtSelf(), onError);
    // Apart: to give a node up takes its time.
    regularly(LOOK_MS, signal, () => this.#lookAtOthers(), onError);
    regularly(REPAIR_MS, signal, () => this.#repair(node), onError);
  }

  wake(): void {
    this.#taker.wake();
  }

  rest(): Promise<void> {
    return this.#taker.rest();
  }

  stop(uuid: string, by: CallerName, kill: boolean, ms: number): Promise<TerminalStatus> {
    let stop = this.#stops.get(uuid);
    if (stop === undefined) {
      stop = { by, kill, remindAt: 0, ended: Promise.resolve<TerminalStatus>('STOPPED') };
      stop.ended = this.#stop(uuid, stop, performance.now() + ms)
        .catch((error) => {
          throw isUnavailable(error) ? new StopNotStored() : error;
        })
        .finally(() => this.#stops.delete(uuid));
      this.#stops.set(uuid, stop);
    } else if (kill && !stop.kill) {
      stop.kill = true;
      stop.remindAt = 0;
    }
    return stop.ended;
  }

  async nodes(): Promise<NodeState[]> {
    const { pool, claim, lostMs } = this.#options;
    const [nodes, heartbeats] = await Promise.all([selectBusyNodes(pool), this.#jobs.heartbeats()]);
    const ours = heartbeats.get(claim.owner) ?? 0;
    return nodes.map((node) => {
      const heartbeat = heartbeats.get(node.owner);
      return stateOf(node, node.owner === claim.owner, heartbeat, isQuiet(ours, heartbeat, lostMs));
    });
  }

  async drain(id: string, isDraining: boolean): Promise<void> {
    const { pool, claim } = this.#options;
    const owner = id === 'self' ? claim.owner : ownerOf(id);
    if (owner === undefined || !(await setDraining(pool, owner, isDraining))) throw new NodeNotFound();
    await sendControl(pool, { type: 'nodes' });
  }

  /**
   * Gives back what waits here, and leaves; all that ran has to have ended. @throws StorageUnavailable when the database does
   * not answer: then the others find out by themselves.
   */
  async leave(): Promise<void> {
    const { pool, claim } = this.#options;
    const leaving = async () => {
      await this.rest();
      await adoptAll(pool, claim.owner, NOBODY, (db, commands) => this.enqueue(db, commands));
      await leaveNode(pool, claim.owner);
    };
    await within(LEAVE_MS, leaving(), () => new StorageUnavailable());
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.rest();
    await this.#jobs.close();
  }

  /** Of which kinds there are nodes, or were until a day ago: they may only be restarting. */
  #kinds(): Set<string> {
    return new Set(this.#nodes.filter(({ fenced_at }) => fenced_at === null).flatMap(({ labels }) => labels));
  }

  /** Tells of trouble between the nodes once, until a look succeeds: while the database is away each of them fails. */
  #fail(error: unknown): void {
    if (!this.#isFailing && !this.#closing.signal.aborted) this.#options.onError(error);
    this.#isFailing = true;
  }

  #hear(message: ControlMessage): void {
    if (message.type === 'nodes') {
      // Whether we may take is asked anew each time.
      this.#taker.look();
      void this.#lookAtSelf().catch((error) => this.#fail(error));
    } else if (message.to === this.#options.claim.owner) this.#node?.stop(message.uuid, message.by, message.kill);
  }

  async #read(): Promise<void> {
    const { pool } = this.#options;
    this.#nodes = await selectNodes(pool);
    if (performance.now() >= this.#countedAt + this.#countMs * COUNT_REST) await this.#count(0);
  }

  /** Counts what waits, after so many ms; for all who want that meanwhile. */
  #count(restMs: number): Promise<number> {
    this.#counting ??= this.#countAfter(restMs).finally(() => {
      this.#counting = undefined;
    });
    return this.#counting;
  }

  async #countAfter(restMs: number): Promise<number> {
    if (restMs > 0) await delay(restMs);
    const before = performance.now();
    const enqueued = this.#enqueued;
    const counted = await countForNodes(this.#options.pool);
    // What has come meanwhile may be counted or not: rather twice than not at all.
    this.#waiting = counted + this.#enqueued - enqueued;
    this.#countedAt = performance.now();
    this.#countMs = this.#countedAt - before;
    return this.#waiting;
  }

  async #lookAtSelf(): Promise<void> {
    const { claim, onFenced } = this.#options;
    await this.#read();
    const self = this.#nodes.find(({ owner }) => owner === claim.owner);
    if (self === undefined || self.fenced_at !== null) return onFenced();
    this.#taker.look();
  }

  async #lookAtOthers(): Promise<void> {
    await this.#watch.look(this.#nodes);
    this.#isFailing = false;
  }

  /** Finds what waits though there are free slots: who has restored a part of the database may have left the queue behind. */
  async #repair(node: NodeWork): Promise<void> {
    if (this.#waiting === 0 || node.freeSlots() <= 0) return;
    const { pool, node: self } = this.#options;
    const stale = await selectStale(pool, self.labels, REPAIR_MS, REPAIRED);
    if (stale.length > 0) await this.#jobs.add(pool, stale.map(jobOf));
  }

  /** Stops a command that may be anywhere, and may be taken by a node at this moment. */
  async #stop(uuid: string, stop: RemoteStop, deadline: number): Promise<TerminalStatus> {
    const { pool, claim } = this.#options;
    for (;;) {
      const place = await selectPlace(pool, uuid);
      if (place === null) throw new CommandNotFound();
      const { owner, status } = place;
      if (status !== 'QUEUED' && status !== 'EXECUTING') return status;
      if (performance.now() > deadline) throw new StopNotStored();
      if (owner === NOBODY) {
        await pool.transaction(async (db) => {
          // In the order in which it would be taken: the job, then the command.
          await this.#jobs.remove(db, { uuid, label: place.label ?? undefined });
          await stopWaiting(db, uuid, stop.by);
        });
        continue;
      }
      if (owner === claim.owner) {
        this.#node?.stop(uuid, stop.by, stop.kill);
      } else if (performance.now() >= stop.remindAt) {
        stop.remindAt = performance.now() + REMIND_MS;
        await sendControl(pool, { type: 'stop', to: owner, uuid, by: stop.by, kill: stop.kill });
      }
      await delay(STOP_LOOK_MS);
    }
  }
}

/** The owner of a node that a client names; undefined: it can be none. */
function ownerOf(id: string): number | undefined {
  const owner = /^\d{1,10}$/.test(id) ? Number(id) : 0;
  return owner > 0 && owner < 2 ** 31 ? owner : undefined;
}

/** How a node stands. */
function stateOf(node: BusyNode, isSelf: boolean, heartbeat: number | undefined, isQuiet: boolean): NodeState {
  const { name, version, labels, slots, executing, waiting } = node;
  const state = () => {
    if (node.fenced_at !== null) return 'lost';
    if (node.left_at !== null) return 'left';
    if (isQuiet) return 'quiet';
    if (!node.draining) return 'up';
    return executing + waiting === 0 ? 'drained' : 'draining';
  };
  return {
    id: `${node.owner}`,
    name,
    version,
    labels,
    state: state(),
    isSelf,
    slots,
    executing,
    waiting,
    startedAt: node.started_at,
    lastHeartbeatAt: heartbeat ?? null,
  };
}
