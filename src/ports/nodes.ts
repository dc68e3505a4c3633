/** Servers that share the work, as the actors and the routes see them. The adapter is in `persistence/cluster/`. */
import type { CallerName, NewCommand, TerminalStatus } from '../command.ts';

/** A command that waits and is to be run, as far as whoever runs it has to know it. */
export type Waiting = Pick<NewCommand, 'uuid' | 'durable' | 'options'>;

/** What a node does with commands for the cluster. */
export interface NodeWork {
  /** How many more commands it could run at this moment. */
  freeSlots(): number;
  /** Whether it has this command: being stored, waiting or running. */
  has(uuid: string): boolean;
  /** Runs commands that it has taken. */
  admit(commands: readonly Waiting[]): void;
  /** Stops a command, if it has it. @param kill whether by SIGKILL at once. */
  stop(uuid: string, by: CallerName, kill: boolean): void;
}

/** The queue that several servers, its nodes, take commands from. */
export interface SharedQueue {
  /** How many commands wait that no node has taken, about: as of the last second, or longer ago when it is many. */
  readonly waiting: number;
  /** Counts them again, at once or within 100 ms or so, later where it is many. @returns `waiting`. @throws StorageUnavailable. */
  countWaiting(): Promise<number>;
  /** Whether this node is of that kind; undefined means any. */
  isOfKind(label: string | undefined): boolean;
  /** @throws NodeUnknown when no node is of this kind. */
  demandKind(label: string): Promise<void>;
  /** Takes commands for this node from now on, while it has free slots. */
  serve(node: NodeWork): void;
  /** Says that a slot may be free. */
  wake(): void;
  /** Takes nothing more; resolves when nothing is under way. */
  rest(): Promise<void>;
  /**
   * Stops a command wherever it is. @returns how it has ended, once that is stored. @throws CommandNotFound; StopNotStored
   * after `ms`, the stop goes on.
   */
  stop(uuid: string, by: CallerName, kill: boolean, ms: number): Promise<TerminalStatus>;
}

/** A server of a cluster. */
export interface NodeState {
  /** Another one each time that it begins anew. */
  id: string;
  /** What people call it. */
  name: string;
  version: string;
  /** Of which kinds it is. */
  labels: readonly string[];
  /**
   * `draining`: it takes no more commands, and still has some; `drained`: it has none; `quiet`: its heartbeat does not come;
   * `lost`: the others have given it up; `left`: it has shut down.
   */
  state: 'up' | 'draining' | 'drained' | 'quiet' | 'lost' | 'left';
  /** Whether it is the one that answers. */
  isSelf: boolean;
  /** How many commands it runs at once. */
  slots: number;
  executing: number;
  /** Commands that wait for it alone. */
  waiting: number;
  /** In ms since the epoch. */
  startedAt: number;
  /** Null: none is known. */
  lastHeartbeatAt: number | null;
}

/** The servers that share the work. */
export interface Nodes {
  /** All that are up, and those that were until a day ago; oldest first. */
  nodes(): Promise<NodeState[]>;
  /**
   * Has a node take no more commands, or take some again.
   * @param id of a node; `self`: the one that answers. @throws NodeNotFound
   */
  drain(id: string, isDraining: boolean): Promise<void>;
}
