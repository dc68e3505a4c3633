/** The owner of the scripts as the actors see it. Adapters are in `process/`. */
import type { ProcessEnd, Progress, RunInputs, RunOptions, SecretEnv, Stop, Stream } from '../command.ts';

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
