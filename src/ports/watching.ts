/** What those see who watch the server. */
import type { Load } from './commander.ts';

/** What has happened in an actor. Neither what it keeps nor what its events carry: that holds what clients have sent. */
export type Inspected = {
  /** The name of the actor in this server, and nowhere else. */
  actor: string;
  /** `supervisor`, the uuid of a command, or what that has invoked. */
  name: string;
  /** The `actor` that has created it; null: nobody. */
  parent: string | null;
  /** In ms since the epoch. */
  at: number;
} & (
  | ({ type: 'actor' } & ActorState)
  /** `source`: the `actor` that has sent it; null: it came from outside. */
  | { type: 'event'; event: string; source: string | null }
  | ({ type: 'snapshot'; event: string } & ActorState)
);

interface ActorState {
  /** Dotted where it lies in another one; null: it has none, or is only being made. */
  state: string | null;
  status: 'active' | 'done' | 'error' | 'stopped';
}

/** Shows what happens in the actors, to those who debug the server. */
export interface Inspection {
  /**
   * Tells at first which actors live, but for commands that wait, then what happens to all, in order. There is a batch
   * about each second at least, empty when nothing has happened. Ends when `signal` aborts.
   * @throws InspectorTooSlow when it is asked too seldom.
   */
  follow(signal: AbortSignal): AsyncGenerator<Inspected[]>;
}

/** What is stored of commands, as of the last few seconds. */
export interface StorageUse {
  /** All of them. */
  commands: number;
  /** Of these, how many are pinned and have ended. */
  pinned: number;
  /** Bytes of the scripts, stdins and outputs of those that have ended. */
  bytes: number;
  /** What all tables take on the disk of the database, in bytes. */
  diskBytes: number;
}

/** The figures of the server, as whoever watches it wants them. */
export interface Metrics {
  readonly contentType: string;
  text(): Promise<string>;
  /** Counts a request. `route` is its pattern, such as `/api/v1/commands/:uuid`. */
  request(method: string, route: string, status: number, ms: number): void;
}

/** Whether the server can do what it is for. */
export interface Readiness {
  /**
   * `starting`: it waits for its database, or takes up what is there. `unavailable`: the database does not answer, or
   * does not take what is to be written. `draining`: it shuts down.
   */
  status: 'ready' | 'starting' | 'draining' | 'unavailable';
  /** Whether the database answers. */
  database: 'up' | 'down';
  /** How scripts are run. */
  scripts: string;
  /** By which means process trees are ended. */
  layers: readonly string[];
  /** The process id of the launcher; null when scripts run in the server's own process. */
  launcherPid: number | null;
  /** Null until commands are taken. */
  load: Load | null;
  /** Null until the database has told. */
  storage: StorageUse | null;
}
