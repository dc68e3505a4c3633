/** The seams between the actors and the world. Adapters in `process/` and `persistence/` implement them. */
import type { CommandRecord, CommandRequest, NewCommand, Outcome, ProcessEnd, Status, Stream } from './command.ts';

/** Takes the output of one command, in the order in which it comes. */
export interface OutputSink {
  /**
   * Takes a chunk; the caller must not change `bytes` afterwards.
   * @returns whether there is room for more. After `false` the caller pauses until `onDrain` is called;
   * what it still writes meanwhile is kept all the same.
   */
  write(stream: Stream, bytes: Uint8Array): boolean;
  /** Called each time there is room again after a refusal. */
  onDrain: () => void;
}

/** What a runner needs to run a command. */
export interface ProcessSpec {
  uuid: string;
  script: string;
}

/** A script that runs, owned by the runner that started it. */
export interface RunningProcess {
  /** Resolves with bash's process id once it runs; with null when it could not be started. */
  readonly started: Promise<number | null>;
  /**
   * Resolves once nothing of the process tree lives and all that it printed has been written to the sink.
   * Never rejects.
   */
  readonly ended: Promise<{ end: ProcessEnd; durationMs: number | null }>;
  /** Asks the process group to end (SIGTERM). From now on `ended` waits for the whole tree. */
  terminate(): void;
  /** Ends the whole process tree (SIGKILL), repeatedly until nothing of it is left. */
  kill(): void;
}

/** Runs bash scripts, each in a session and process group of its own. */
export interface ProcessRunner {
  start(spec: ProcessSpec, output: OutputSink): RunningProcess;
  /**
   * Kills what an earlier, crashed server left running of these commands, and resolves when nothing of them lives.
   * @returns how many processes were killed.
   */
  killLeftovers(uuids: readonly string[]): Promise<number>;
}

/**
 * The one writer. Batches what all commands write into few transactions; each promise resolves when its own batch
 * has committed.
 */
export interface Journal {
  /** Stores a new command as `QUEUED`. @throws StorageUnavailable when it was not committed in time, and never will be. */
  insert(command: NewCommand): Promise<void>;
  /** Marks a command `EXECUTING`. @returns its script, or null when it is no longer there to be run. */
  begin(uuid: string, startedAt: Date): Promise<string | null>;
  /** Opens the output of a command. */
  openOutput(uuid: string, durable: boolean): OutputSink;
  /** Stores the outcome of a command, together with or after the last of its output. */
  finish(uuid: string, outcome: Outcome, endedAt: Date): Promise<void>;
  /** Deletes a command and its output. @returns whether it was there. */
  remove(uuid: string): Promise<boolean>;
}

/** Which commands a list shows: newest first. */
export interface CommandFilter {
  status: Status | undefined;
  limit: number;
  offset: number;
}

/** Reads stored commands. */
export interface CommandReader {
  get(uuid: string): Promise<CommandRecord | null>;
  list(filter: CommandFilter): Promise<CommandRecord[]>;
  statusOf(uuid: string): Promise<Status | null>;
}

/** What clients may do with commands. */
export interface Commander {
  /**
   * Stores a command and lets it run as soon as a slot is free. @returns its uuid, once it is committed.
   * @throws Draining, QueueFull, StorageUnavailable
   */
  submit(request: CommandRequest): Promise<string>;
  /**
   * Stops a command; resolves once its whole process tree is dead and `STOPPED` is stored.
   * @throws CommandNotFound, CommandEnded, CommandElsewhere
   */
  stop(uuid: string): Promise<void>;
  /** Deletes a command, stopping it first when it runs. @throws CommandNotFound, CommandElsewhere */
  remove(uuid: string): Promise<void>;
}
