/** One node of a cluster: what it takes, what it tells the others, and what it does for those that are gone. */
import type { DatabasePool } from 'slonik';
import type { NewCommand, TerminalStatus } from '../../command.ts';
import { within } from '../../deadline.ts';
import { NodeFenced, NodeNotFound, NodeUnknown, StorageUnavailable } from '../../errors.ts';
import type { NodeState, Nodes, NodeWork, SharedQueue } from '../../ports/nodes.ts';
import type { ProcessRunner } from '../../ports/process.ts';
import type { Claim } from '../claim.ts';
import { adoptAll } from '../recovery.ts';
import { regularly } from '../regularly.ts';
import type { Connection } from '../sql/connection.ts';
import {
  type BusyNode,
  leaveNode,
  type NodeRow,
  registerNode,
  type StoredNode,
  selectBusyNodes,
  selectNodes,
  selectStale,
  setDraining,
} from '../sql/nodes.ts';
import { NOBODY, type WaitingCommand } from '../sql/owners.ts';
import { type ControlMessage, hearControl, sendControl } from './control.ts';
import { JobQueue, jobOf } from './jobs.ts';
import { RemoteStops } from './stops.ts';
import { Taker } from './taker.ts';
import { WaitingCount } from './waiting.ts';
import { isQuiet, NodeWatch, type WatchOptions } from './watch.ts';

/** How often a node looks after itself, the queue and the others, in ms. */
const LOOK_MS = 1000;
/** How often we look for commands that wait without a job, in ms, and for how many of them. */
const REPAIR_MS = 5000;
const REPAIRED = 1000;
/** How long a node that shuts down waits for the database to let it leave, in ms. */
const LEAVE_MS = 3000;
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

export class Cluster implements SharedQueue, Nodes {
  readonly #options: ClusterOptions;
  readonly #jobs: JobQueue;
  readonly #taker: Taker;
  readonly #watch: NodeWatch;
  readonly #closing = new AbortController();
  readonly #stops: RemoteStops;
  readonly #count: WaitingCount;
  #node: NodeWork | undefined;
  #nodes: readonly StoredNode[] = [];
  #isFailing = false;

  private constructor(options: ClusterOptions, jobs: JobQueue, taker: Taker) {
    const { pool, claim, runner, lostMs, onLost } = options;
    this.#options = options;
    this.#jobs = jobs;
    this.#taker = taker;
    this.#watch = new NodeWatch({ pool, jobs, claim, runner, lostMs, onLost });
    this.#stops = new RemoteStops({ pool, jobs, owner: claim.owner, here: () => this.#node });
    this.#count = new WaitingCount(pool);
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
        joined.#count.take(commands.length);
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
    return this.#count.waiting;
  }

  /** Whether this node has a command. */
  has(uuid: string): boolean {
    return this.#node?.has(uuid) ?? false;
  }

  countWaiting(): Promise<number> {
    return this.#count.again();
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
    this.#count.add(commands.length);
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

  stop(...args: Parameters<SharedQueue['stop']>): Promise<TerminalStatus> {
    return this.#stops.stop(...args);
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
    await this.#count.refresh();
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
    if (this.waiting === 0 || node.freeSlots() <= 0) return;
    const { pool, node: self } = this.#options;
    const stale = await selectStale(pool, self.labels, REPAIR_MS, REPAIRED);
    if (stale.length > 0) await this.#jobs.add(pool, stale.map(jobOf));
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
    if (node.left_at !== null) return 'left';
    if (node.fenced_at !== null) return 'lost';
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
