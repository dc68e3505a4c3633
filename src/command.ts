/**
 * The vocabulary of shellvisor as pure types. This file imports nothing, so that every other one may import it.
 */

/** Where a command stands. The last three are terminal: once stored, they never change. */
export const STATUSES = ['QUEUED', 'EXECUTING', 'EXECUTED', 'FAILED', 'STOPPED'] as const;
export type Status = (typeof STATUSES)[number];
export type TerminalStatus = 'EXECUTED' | 'FAILED' | 'STOPPED';

/** Why a command ended. */
export const REASONS = [
  'exit',
  'signal',
  'timeout',
  'output_limit',
  'stop',
  'shutdown',
  'spawn_error',
  'lost',
] as const;
export type Reason = (typeof REASONS)[number];

/** What ended a command that did not end by itself. */
export type StopReason = 'stop' | 'shutdown' | 'timeout' | 'output_limit';

/** Who asks for something: the name of his token. Null: nobody had to say who he is. */
export type CallerName = string | null;

/** Why a command is to end that has not ended by itself, and who wants that. */
export interface Stop {
  reason: StopReason;
  /** Null also when it is no client that wants it. */
  by: CallerName;
}

/** The two streams a script prints to. */
export type Stream = 'stdout' | 'stderr';

/** Most bytes (UTF-8) a script may have. */
export const SCRIPT_MAX_BYTES = 10 * 1024 * 1024;
/** Most characters (Unicode code points) a description may have. */
export const DESCRIPTION_MAX_CHARACTERS = 255;

/** How much of a script a search by text looks at, in characters: its beginning. */
export const SEARCHED_SCRIPT_CHARACTERS = 8192;

/** Longest time a timer of Node can wait (2^31 - 1 ms); a longer one would fire at once. */
export const MAX_TIMER_MS = 2_147_483_647;

/** What becomes of a command that prints more than the server keeps: its output is cut in the middle, or it is ended. */
export const OUTPUT_LIMIT_ACTIONS = ['truncate', 'kill'] as const;
export type OutputLimitAction = (typeof OUTPUT_LIMIT_ACTIONS)[number];

/** How much of the output of a command is kept. Of more than both together the middle is dropped. */
export interface OutputLimit {
  /** Bytes kept of the beginning. */
  headBytes: number;
  /** Bytes kept of the end. */
  tailBytes: number;
}

/**
 * Most bytes kept of the end of an output. While a command goes on printing, its tail waits where it can be dropped
 * again without having been stored: in the launcher's window, of which it must leave enough to go on reading.
 */
const TAIL_MAX_BYTES = 512 * 1024;

/** Divides what is kept of an output into head and tail. */
export function outputLimitOf(bytes: number): OutputLimit {
  const tailBytes = Math.min(Math.floor(bytes / 2), TAIL_MAX_BYTES);
  return { headBytes: bytes - tailBytes, tailBytes };
}

/** What is kept of the commands that have ended and are not pinned. What is not given has no bound. */
export interface Retention {
  /** How long after their end, in seconds. */
  age?: number | undefined;
  /** How many. */
  count?: number | undefined;
  /** Bytes of their scripts, stdins and outputs. */
  bytes?: number | undefined;
}

/** What is stored of the output of a command that runs. */
export interface StoredOutput {
  /** Where it ends: the place behind its last byte in all that was printed. */
  upTo: number;
  /** Where what this run has printed begins: behind the output of earlier ones, which were lost. */
  base: number;
  /** What of it is kept, as the server under which it began has said. */
  limit: OutputLimit;
}

/** How much of an output is read at once, in bytes: a client that takes nothing of it holds three times as much. */
export const OUTPUT_PART_BYTES = 128 * 1024;

/** What stands in an output where bytes of it are not kept. */
export function droppedLine(bytes: number): string {
  return `\n[… ${bytes} bytes dropped …]\n`;
}

/** What a script has in its sandbox. */
export interface SandboxOptions {
  /** Whether it reaches the network. */
  network: boolean;
}

/** How a client wants its script run. What it has not given is not there, and follows the server. */
export interface RunOptions {
  /** How long it may run, in ms. */
  timeoutMs?: number | undefined;
  /** Whether what it leaves in the background lives on after its end. */
  keepBackground?: boolean | undefined;
  onOutputLimit?: OutputLimitAction | undefined;
  /** How much it lets others go first, 0–19; see nice(1). */
  nice?: number | undefined;
  /** Most memory, in bytes. */
  maxMemoryBytes?: number | undefined;
  /** Most processes and threads at once. */
  maxProcesses?: number | undefined;
  /** Most files, pipes and the like that each of its processes has open at once. */
  maxOpenFiles?: number | undefined;
  /** Undefined: it runs in none, unless the server puts all in one. */
  sandbox?: SandboxOptions | undefined;
  /** The kind of node that it is to run on; undefined: any. */
  nodeLabel?: string | undefined;
  /** Whether it is begun anew when who ran it is gone; else it has failed then. */
  rerunWhenLost?: boolean | undefined;
}

/** What a client hands to its script. What it has not given is not there. */
export interface RunInputs {
  /** Environment variables, beside those that every script has. */
  env?: Readonly<Record<string, string>> | undefined;
  /** Absolute path of the folder that it starts in; else one of its own. */
  cwd?: string | undefined;
  /** Its arguments, `$1` and so on. */
  args?: readonly string[] | undefined;
  /** What it reads from its stdin. */
  stdin?: Uint8Array | undefined;
}

/** What a client handed to its script, as it shows afterwards. */
export interface ShownInputs extends Omit<RunInputs, 'stdin'> {
  /** How much there is to be read from its stdin; undefined: the client gave none. */
  stdinBytes?: number | undefined;
  /** The names of its secrets; undefined: the client gave none. */
  secretNames?: readonly string[] | undefined;
}

/**
 * Most bytes of variables, secrets and arguments together. The kernel takes 2 MiB (ARG_MAX: a quarter of the usual limit
 * of a stack), and what the script starts needs room for arguments of its own beside this environment.
 */
export const STRINGS_MAX_BYTES = 1024 * 1024;

/** How many bytes they have, with what stands between them: `=` and NUL, and the place of each in the list. */
export function stringsBytes({ env = {}, args = [] }: RunInputs, secretEnv: SecretEnv): number {
  const strings = [...Object.entries(env).flat(), ...Object.entries(secretEnv).flat(), ...args];
  return strings.reduce((sum, text) => sum + Buffer.byteLength(text) + 8, 0);
}

/**
 * Variables that act on bash before it has entered its process tree, see `scripts/prologue.bash`. In POSIX and in privileged
 * mode it would not even read that (bash(1), BASH_ENV). The others lead the dynamic linker and the C library to code and data
 * of their own, the latter already when it looks for its language (ld.so(8), setlocale(3), iconv(3)).
 */
const BEFORE_SCRIPT =
  /^(BASH_ENV|SHELLOPTS|POSIXLY_CORRECT|POSIX_PEDANTIC|LD_.*|GCONV_PATH|GLIBC_TUNABLES|LOCPATH|LOCALE_ARCHIVE.*|MUSL_LOCPATH|NLSPATH)$/;

/** Whether bash must start without the variable of this name; its script may set it. */
export const actsBeforeScript = (name: string): boolean => BEFORE_SCRIPT.test(name);

/** Whether only the server sets the variable of this name. */
export const isServersVariable = (name: string): boolean => name.startsWith('SHELLVISOR_');

/** Environment variables whose values nobody but the script may see: they are stored nowhere, and masked in its output. */
export type SecretEnv = Readonly<Record<string, string>>;

/** How far a script says that it is. */
export interface Progress {
  /** 0–100, with two decimals at most. */
  percent: number;
  /** What it says about it; empty when it says nothing. */
  text: string;
}

export function isSameProgress(a: Progress | null, b: Progress | null): boolean {
  return a?.percent === b?.percent && a?.text === b?.text;
}

/** Most characters (Unicode code points) that are kept of the text of a progress. */
export const PROGRESS_TEXT_MAX_CHARACTERS = 255;

/** What a client asks for. */
export interface CommandRequest {
  description: string;
  /** The bash script, valid Unicode without NUL. */
  script: string;
  /** Whether its output is stored, and shows, while it runs. */
  durable: boolean;
  options: RunOptions;
  inputs: RunInputs;
  secretEnv: SecretEnv;
  /** What its client finds it by again; nothing of it reaches the script. */
  labels: Readonly<Record<string, string>>;
  /** Whether it is pinned from the beginning; not unless given. */
  pinned?: boolean | undefined;
}

/** What is kept of a request: all but the values of its secrets. A pin is none of it: that comes and goes. */
export interface StoredRequest extends Omit<CommandRequest, 'secretEnv' | 'pinned'> {
  secretNames: readonly string[];
}

/** What makes a request safe to repeat: it creates one command, however often it comes. */
export interface Idempotency {
  /** Given by the client: 1–255 printable ASCII characters. */
  key: string;
  /** SHA-256 of what is asked for; with another one the key is misused. */
  fingerprint: Uint8Array;
}

/** A command as it is admitted. */
export interface NewCommand extends StoredRequest {
  uuid: string;
  createdAt: Date;
  /** The command that it repeats; null: none. */
  rerunOf: string | null;
  createdBy: CallerName;
  /** Undefined: its client has given no key. */
  idempotency: Idempotency | undefined;
  pinned: boolean;
  /** Whether any node of the cluster may run it; else this server does. */
  forAnyNode: boolean;
}

/** How the process of a command ended, as its runner saw it. */
export type ProcessEnd =
  /** bash exited by itself or by a signal it handled; `exitCode` is 0–255. */
  | { kind: 'exited'; exitCode: number }
  /** A signal ended bash; `signal` is its name, such as `SIGKILL`. */
  | { kind: 'signalled'; signal: string }
  /** bash could not be started; `message` says why, for the client. */
  | { kind: 'spawn_error'; message: string }
  /** Stopped before bash was started. */
  | { kind: 'not_started' }
  /** Not started, since nobody knows its secrets any more. */
  | { kind: 'secrets_lost' }
  /** Whoever owned it is gone; what lived of it is dead, and how bash ended nobody knows. */
  | { kind: 'lost' };

/** How a command ended, in one shape, whatever the cause. */
export interface Outcome {
  status: TerminalStatus;
  reason: Reason;
  /** 0–255, or null when a signal ended bash or it never ran. */
  exitCode: number | null;
  /** The signal that ended bash, such as `SIGTERM`, else null. */
  signal: string | null;
  /** One sentence for a person where `reason` alone does not explain it, else null. */
  error: string | null;
  /** From the start of bash to the end of its process tree, in ms of a monotonic clock; null when bash never ran. */
  durationMs: number | null;
  /** Who stopped it, where it was a stop that ended it; else null. */
  stoppedBy: CallerName;
}

/** A stored command as readers see it. Times are ms since the epoch. */
export interface CommandRecord {
  /** Its place in the order of admission. */
  id: number;
  uuid: string;
  description: string;
  script: string;
  /** Whether `script` is only the beginning. */
  scriptPreview: boolean;
  status: Status;
  durable: boolean;
  options: RunOptions;
  /** Null in lists: it may be large. */
  inputs: ShownInputs | null;
  labels: Readonly<Record<string, string>>;
  /** The command that it repeats, which may be deleted by now; null: none. */
  rerunOf: string | null;
  createdBy: CallerName;
  /** Whether it stays when many are deleted: by retention, or by a filter. */
  pinned: boolean;
  /** What it printed, both streams in the order in which they came; empty for a regular command that has not ended. */
  output: string;
  /** Whether `output` is only the beginning. */
  outputPreview: boolean;
  /** Whether its middle was dropped, because it printed more than is kept. */
  outputTruncated: boolean;
  /** Bytes printed so far, as far as they show; those that were dropped too. */
  outputBytes: number;
  /** The latest that it has said; null: nothing yet. */
  progress: Progress | null;
  reason: Reason | null;
  exitCode: number | null;
  signal: string | null;
  error: string | null;
  createdAt: number;
  startedAt: number | null;
  endedAt: number | null;
  durationMs: number | null;
  stoppedBy: CallerName;
  /** The name of the node that runs it, or ran it last; null: none yet, or its server is no node. */
  node: string | null;
}

/** What of a command tells how it ended. */
export type CommandSummary = Pick<
  CommandRecord,
  | 'status'
  | 'reason'
  | 'exitCode'
  | 'signal'
  | 'error'
  | 'startedAt'
  | 'endedAt'
  | 'durationMs'
  | 'stoppedBy'
  | 'outputBytes'
  | 'outputTruncated'
>;

/** A step that the machine of a command took, in the words of its statechart. */
export interface Transition {
  /** The state that it left, dotted: `executing.running`. Null when a machine began: the first, or that of a later server. */
  from: string | null;
  /** What made it, such as `stop` or `after grace`. */
  event: string;
  /** The state that it entered. */
  to: string;
  /** In ms since the epoch. */
  at: number;
  /** When that state ends by itself, likewise; undefined: it lasts until something happens. */
  until?: number;
}

/** What is stored of a transition. */
export type Step = Omit<Transition, 'from'>;

/**
 * Decides the outcome of a command from how its process ended and who, if anyone, wanted it to end.
 * Who asked first wins: a script that exits 0 on SIGTERM was stopped all the same.
 */
export function outcomeOf(end: ProcessEnd, stop: Stop | null, durationMs: number | null): Outcome {
  const exitCode = end.kind === 'exited' ? end.exitCode : null;
  const signal = end.kind === 'signalled' ? end.signal : null;
  const base = { exitCode, signal, error: null, durationMs, stoppedBy: null };
  if (end.kind !== 'lost' && stop !== null) {
    const { reason, by: stoppedBy } = stop;
    const status = reason === 'timeout' || reason === 'output_limit' ? 'FAILED' : 'STOPPED';
    return { ...base, status, reason, stoppedBy };
  }
  switch (end.kind) {
    case 'exited':
      return { ...base, status: end.exitCode === 0 ? 'EXECUTED' : 'FAILED', reason: 'exit' };
    case 'signalled':
      return { ...base, status: 'FAILED', reason: 'signal' };
    case 'spawn_error':
      return { ...base, status: 'FAILED', reason: 'spawn_error', error: end.message };
    case 'lost':
      return { ...base, status: 'FAILED', reason: 'lost', error: 'the launcher ended while the command ran' };
    case 'secrets_lost': {
      const error =
        'its secret_env was lost with the server that it was sent to, which ended before its turn came; send it again';
      return { ...base, status: 'FAILED', reason: 'lost', error };
    }
    case 'not_started':
      return { ...base, status: 'FAILED', reason: 'lost', error: 'the command was no longer stored as waiting' };
    default:
      return end satisfies never;
  }
}
