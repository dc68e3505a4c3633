/** The seams between the actors and the world. Adapters in `process/` and `persistence/` implement them. */
import type {
  CallerName,
  CommandRecord,
  CommandRequest,
  CommandSummary,
  Idempotency,
  NewCommand,
  Outcome,
  ProcessEnd,
  Progress,
  Reason,
  RunInputs,
  RunOptions,
  SecretEnv,
  Status,
  Stop,
  StoredOutput,
  StoredRequest,
  Stream,
  TerminalStatus,
  Transition,
} from './command.ts';

/** Takes the output of one command, in the order in which it comes. */
export interface OutputSink {
  /**
   * Takes a chunk; the caller must not change `bytes` afterwards. `offset` is the place of its first byte in the whole
   * output, where that may not be behind the last one: what lies between was let go, see `onCommitted`.
   * @returns whether there is room for more. After `false` the caller pauses until `onDrain` is called;
   * what it still writes meanwhile is kept all the same.
   */
  write(stream: Stream, bytes: Uint8Array, offset?: number): boolean;
  /** Says that whoever prints waits until what was written is committed. */
  full(): void;
  /** Called each time there is room again after a refusal. */
  onDrain: () => void;
  /** Called when all bytes before `upTo` in the whole output are committed, or beyond what is kept of it. */
  onCommitted: (upTo: number) => void;
}

/** The output of one command on its way into the journal. */
export interface CommandOutput extends OutputSink {
  /** Resolves when more was printed than is kept. */
  readonly overLimit: Promise<void>;
}

/** What a runner needs to run a command. */
export interface ProcessSpec {
  uuid: string;
  script: string;
  options: RunOptions;
  inputs: RunInputs;
  secretEnv: SecretEnv;
}

/** The user that scripts run as. */
export interface ScriptAccount {
  name: string;
  uid: number;
  gid: number;
  home: string;
  shell: string;
}

/** What the server says to the owner of its scripts before the first of them. What is not given has no bound. */
export interface ScriptsConfig {
  /** Absolute path of the folder in which scripts find theirs. */
  dataDir: string;
  /** Whether control groups are used where they can be. */
  cgroups: boolean;
  /** Undefined: the user of the server. */
  account?: ScriptAccount | undefined;
  /** Whether every command runs in a sandbox, whatever it says. */
  sandboxAlways?: boolean | undefined;
  /** Absolute path of the Unix socket that the server listens on: not to be reached from a sandbox. Undefined: there is none. */
  socket?: string | undefined;
  /** Most processes of a command that does not say so itself. */
  maxProcesses?: number | undefined;
  /** The same for open files of each process. */
  maxOpenFiles?: number | undefined;
}

/** A script that runs, owned by the runner that started it. */
export interface RunningProcess {
  /** Resolves with bash's process id once it runs; with null when it could not be started. */
  readonly started: Promise<number | null>;
  /**
   * Resolves once nothing of the process tree lives, all that it printed has been written to the sink, and the last that it
   * told of its progress has been passed on.
   * Never rejects.
   */
  readonly ended: Promise<{ end: ProcessEnd; durationMs: number | null }>;
  /**
   * Asks the process group to end (SIGTERM). From now on `ended` waits for the whole tree.
   * Whoever calls this calls `kill` after `graceMs`; a runner that outlives the server does it alone if need be.
   */
  terminate(stop: Stop, graceMs: number): void;
  /**
   * Ends the whole process tree (SIGKILL), repeatedly until nothing of it is left.
   * @param stop why, where it is not ending already.
   */
  kill(stop?: Stop): void;
  /** Called with what the script tells of its progress: the latest, at most about each 200 ms. */
  onProgress: (progress: Progress) => void;
}

/** A script that was there before this server. */
export interface LivingScript {
  /** Why it is to end, once somebody wants that. */
  stop: Stop | null;
  /** How long after that SIGKILL is due, in ms from now; undefined where there is no stop, or nobody was told of a grace. */
  graceMs?: number | undefined;
  /** Whether a server has asked for SIGKILL. */
  isKilled?: boolean | undefined;
  /** How long it has been running, in ms. */
  elapsedMs: number;
}

/** Runs bash scripts, each in a session and process group of its own. */
export interface ProcessRunner {
  /** How it runs them, for the log. */
  readonly description: string;
  /** By which means it ends process trees, for the log and for readiness. */
  readonly layers: readonly string[];
  /** What whoever runs the server should know of the scripts here, each a sentence for the log. */
  readonly warnings: readonly string[];
  /** Options that no command can have here, each with the reason as a sentence for the client. */
  readonly unsupported: Readonly<Partial<Record<keyof RunOptions, string>>>;
  /** What ran or has ended under a server before this one and was not forgotten, by uuid. */
  readonly living: ReadonlyMap<string, LivingScript>;
  /** Whether a script can start in this folder. @returns why not, as a sentence for the client; null when it can. */
  refuseFolder(path: string): Promise<string | null>;
  /** Starts a script; one with this uuid that is there already is attached to instead. */
  start(spec: ProcessSpec, output: OutputSink): RunningProcess;
  /** Goes on with a script that is there already, from this byte of its output on. */
  attach(uuid: string, from: number, output: OutputSink): RunningProcess;
  /** Drops a script whose outcome is stored, or that nobody wants any more. */
  forget(uuid: string): void;
  /**
   * Kills what an earlier, crashed server left running of these commands, and resolves when nothing of them lives.
   * @returns how many processes were killed.
   */
  killLeftovers(uuids: readonly string[]): Promise<number>;
}

/** What of a command is not kept in memory while it waits. */
export interface Begun extends Pick<StoredRequest, 'script' | 'inputs' | 'secretNames'> {
  /** Where the output of this run begins, behind that of earlier ones, which were lost; and what is kept of all. */
  output: StoredOutput;
  /** When it was created, in ms since the epoch; null: it has run before. */
  waitsSince: number | null;
}

/**
 * The one writer. Batches what all commands write into few transactions; each promise resolves when its own batch
 * has committed.
 */
export interface Journal {
  /**
   * Stores a new command as `QUEUED`, and with it its key. @returns whether it is: not where another command has the key.
   * @throws StorageUnavailable when it was not committed in time, and never will be.
   * @param onKept called where it was committed all the same, and a repeat of its request has been told of it meanwhile:
   * so it stays, and is to be run.
   */
  insert(command: NewCommand, onKept?: () => void): Promise<boolean>;
  /**
   * Which command has the key of a request, among the keys of who asks. @returns its uuid, from now on a promise that it stays until a client deletes
   * it; null when there is none. @throws IdempotencyKeyReused when it was created by another request.
   */
  replay(idempotency: Idempotency, by: CallerName): Promise<string | null>;
  /** Marks a command `EXECUTING`. @returns what to run, or null when it is no longer there to be run. */
  begin(uuid: string, startedAt: Date): Promise<Begun | null>;
  /**
   * Opens the output of a command. `stored`: what of it was written by a server before this one, and by earlier runs;
   * undefined: nothing.
   */
  openOutput(uuid: string, durable: boolean, stored?: StoredOutput): CommandOutput;
  /**
   * Keeps a step of the machine of a command: it is stored with the outcome, or when for about 100 ms there is neither that
   * nor another step. Not to be told are the first admission and the last step, behind the outcome: they are known.
   */
  transition(uuid: string, transition: Transition): void;
  /** Stores how far a command is that executes; of what comes close together only the latest. */
  progress(uuid: string, progress: Progress): void;
  /** Stores the outcome of a command, together with or after the last of its output and its progress. */
  finish(uuid: string, outcome: Outcome, endedAt: Date): Promise<void>;
  /** Deletes a command and its output. @returns whether it was there. */
  remove(uuid: string): Promise<boolean>;
}

/** Which commands are meant: those of which all that is given is true. */
export interface CommandFilter {
  /** Those in one of these. */
  statuses?: readonly Status[] | undefined;
  durable?: boolean | undefined;
  /** Those that were sent with the token of this name. */
  createdBy?: string | undefined;
  reason?: Reason | undefined;
  exitCode?: number | undefined;
  /** Those with all of these labels. */
  labels?: Readonly<Record<string, string>> | undefined;
  pinned?: boolean | undefined;
  createdAfter?: Date | undefined;
  createdBefore?: Date | undefined;
  /** What is in the description or the beginning of the script, whatever the case of its letters. */
  text?: string | undefined;
}

/** A place in a list: that of a command which may be deleted meanwhile. */
export interface ListPosition {
  id: number;
  /** In ms since the epoch. */
  createdAt: number;
}

/** Which part of a list is wanted. Newest first: by admission, or by `createdAt` where that is filtered by. */
export interface ListQuery {
  filter: CommandFilter;
  /** Only what comes behind this place. */
  behind?: ListPosition | undefined;
  limit: number;
  offset: number;
  /** Whether outputs are wanted. */
  withOutput: boolean;
}

export interface ListPage {
  commands: CommandRecord[];
  /** Where the next page begins; undefined when this is the last one. */
  next: ListPosition | undefined;
}

/** Which bytes of the output of a command are wanted, by their places in all that it printed. */
export interface OutputQuery {
  from: number;
  before: number;
  /** Undefined: both. */
  stream: Stream | undefined;
}

/** A part of what shows of the output of a command, in one snapshot. */
export interface OutputPart {
  status: Status;
  /** Null: it has said nothing of it. */
  progress: Progress | null;
  /** Whether the command has ended: then nothing will follow. */
  ended: boolean;
  /** Where that ends which shows. */
  upTo: number;
  /** What was dropped behind the head. */
  gap: { at: number; bytes: number };
  /** Whether all that shows stays as it is: nothing was dropped, nor will be of what is there now. */
  isFinal: boolean;
  /**
   * What there is from the place that was asked for on, in order: only the beginning when it is much, nothing when there
   * is nothing. Where a piece does not begin at the end of the last one, what lies between is not kept.
   */
  pieces: OutputPiece[];
}

export interface OutputPiece {
  stream: Stream;
  offset: number;
  length: number;
  /** All of it, or none when it is of a stream that is not wanted. */
  bytes: Uint8Array;
}

/** Looks out for what is new of one command, from the moment it is made. */
export interface Watch extends Disposable {
  /**
   * Resolves when there may be something new since the last time: at once where this server has stored it, else
   * within a second. Sooner when `signal` aborts.
   */
  next(signal: AbortSignal): Promise<void>;
}

/** What has become of commands since the last time. */
export interface CommandEvents {
  /** Whether some of it is not kept any more: then all that is known of commands is to be read anew. */
  lost: boolean;
  /** Where to go on. */
  place: string;
  events: CommandEvent[];
}

export interface CommandEvent {
  /** Where to go on after it. */
  id: string;
  uuid: string;
  /** Null: it was deleted. */
  status: Status | null;
  /** What it told of its progress; null: its status has changed, or it was deleted. */
  progress: Progress | null;
  /** In ms since the epoch. */
  at: number;
}

/** Reads stored commands. */
export interface CommandReader {
  /** Without output where that is not wanted. */
  get(uuid: string, withOutput?: boolean): Promise<CommandRecord | null>;
  /** Null when there is no such command. */
  output(uuid: string, query: OutputQuery): Promise<OutputPart | null>;
  watch(uuid: string): Watch;
  /** How a command stands, without what it was and printed. Null when there is none. */
  summary(uuid: string): Promise<CommandSummary | null>;
  list(query: ListQuery): Promise<ListPage>;
  count(filter: CommandFilter): Promise<number>;
  statusOf(uuid: string): Promise<Status | null>;
  /** The steps of its machine, oldest first, the last one with its terminal status. Null when there is no such command. */
  transitions(uuid: string): Promise<Transition[] | null>;
  /** What the client has sent, in full but for its secrets. */
  requestOf(uuid: string): Promise<StoredRequest | null>;
  /**
   * Follows all commands from a place on, or from now on: then the first batch is empty and tells where that is. There is
   * one about each second at least. Ends when `signal` aborts.
   */
  events(from: string | undefined, signal: AbortSignal): AsyncGenerator<CommandEvents>;
}

/** What a request for a command has come to. */
export interface Submission {
  uuid: string;
  /** Whether an earlier request with the same key has created it. */
  isReplay: boolean;
}

/** What a deletion of many commands has done, or would do. */
export interface Pruned {
  deleted: number;
  /** Those that the filter means and that stay. */
  kept: {
    /** They wait or run. */
    live: number;
    /** They have ended, and are pinned. */
    pinned: number;
  };
}

/** Decides what is kept of the stored commands, whichever server has run them. */
export interface CommandKeeper {
  /** Pins a command, or takes the pin off. @throws CommandNotFound, PinInDoubt */
  pin(uuid: string, pinned: boolean): Promise<void>;
  /**
   * Deletes all commands of a filter that were there when it began, in small transactions; those that live or are
   * pinned stay. With `dryRun` it only counts. @throws PruneBrokenOff, also when `signal` aborts; what was deleted stays so
   */
  prune(filter: CommandFilter, dryRun: boolean, signal: AbortSignal): Promise<Pruned>;
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

/** What clients may do with commands. */
export interface Commander {
  /**
   * Stores a command and lets it run as soon as a slot is free; answers once it is committed. A repeat of an earlier
   * request is never refused but for its key.
   * @throws TimeoutTooLong, OptionUnsupported, FolderRefused, Draining, QueueFull, StorageUnavailable,
   * IdempotencyKeyReused
   */
  submit(request: CommandRequest, by: CallerName, idempotency?: Idempotency): Promise<Submission>;
  /**
   * The same for a new command with all that an earlier one was given. What is stored nowhere comes with the request.
   * @throws as `submit`; CommandNotFound, SecretsMismatch, StringsTooLarge
   */
  rerun(uuid: string, secretEnv: SecretEnv, by: CallerName, idempotency?: Idempotency): Promise<Submission>;
  /**
   * Stops a command; resolves once its whole process tree is dead and `STOPPED` is stored.
   * @param kill whether by SIGKILL at once; where it is ending already, without the rest of its grace.
   * @throws CommandNotFound, CommandEnded, CommandElsewhere
   */
  stop(uuid: string, by: CallerName, kill?: boolean): Promise<void>;
  /** Deletes a command, stopping it first when it runs. @throws CommandNotFound, CommandElsewhere */
  remove(uuid: string, by: CallerName): Promise<void>;
  /** How the supervisor stands at this moment. */
  load(): Load;
}

/** How the supervisor stands: what it takes, and how many commands wait and run. */
export interface Load {
  /** `accepting`; `draining`: it takes nothing new and waits for what runs to end; `drained`: nothing runs any more. */
  state: 'accepting' | 'draining' | 'drained';
  /** Commands that wait for a slot. */
  waiting: number;
  /** Slots that are taken. */
  executing: number;
  maxParallel: number;
  maxQueued: number;
  /** Commands that need no slot any more and whose outcome is being stored. */
  storing: number;
}

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
