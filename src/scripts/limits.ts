/** The limits that a client may set for its command: how they are put on its bash, and which this machine can't keep. */
import type { RunOptions } from '../command.ts';

/** What this machine has to limit commands with. */
export interface LimitMeans {
  /** Absolute path of nice(1). */
  nice: string | undefined;
  /** A program, with its arguments, that takes from what it becomes the way to more privileges; empty where none is needed. */
  confiner: readonly string[];
  /** The controllers of cgroup v2 that the control group of a command can have. */
  controllers: readonly string[];
  isRoot: boolean;
  /** Why no sandbox can be made here; null: it can. */
  sandboxProblem: string | null;
  /** What holds for a command that does not say so itself; undefined: no limit. */
  maxProcesses: number | undefined;
  maxOpenFiles: number | undefined;
  /** What we have ourselves, and so the most that we can give. */
  mostOpenFiles: number;
}

/** How bash is started so that it, and all that it starts, keeps its limits. */
export interface LimitedStart {
  /** The command line before bash: a program that becomes what is named behind it. */
  prefix: string[];
  /** For `prologue.bash`. */
  environment: Record<string, string>;
  /** What is written to the files of its control group. */
  group: Record<string, string>;
}

/** In a namespace of its own too it owns what is root's: it may read /etc/shadow, and chmod the devices that are bound into it. */
const ROOT_IN_SANDBOX =
  'the server runs as root, to whom files and devices of the machine belong in a sandbox too; set SHELLVISOR_RUN_AS to another user';

/** Options that no command can have here, each with the reason as a sentence for the client. */
export type UnsupportedOptions = Partial<Record<keyof RunOptions, string>>;

export function unsupportedOptions({ nice, controllers, isRoot, sandboxProblem }: LimitMeans): UnsupportedOptions {
  const unsupported: UnsupportedOptions = {};
  if (nice === undefined) unsupported.nice = 'nice is not possible here: there is no program of this name in PATH';
  if (isRoot && !controllers.includes('pids')) {
    unsupported.maxProcesses =
      'max_processes is not possible here: the server runs as root, whom the kernel limits only by a control group ' +
      'with the controller pids, and has none';
  }
  const noSandbox = sandboxProblem ?? (isRoot ? ROOT_IN_SANDBOX : null);
  if (noSandbox !== null) unsupported.sandbox = `sandbox is not possible here: ${noSandbox}`;
  return unsupported;
}

/**
 * @throws Error for an option that is not supported: the command may have been taken by a server elsewhere, or before
 * the machine was changed.
 */
export function limitedStart(options: RunOptions, means: LimitMeans): LimitedStart {
  const unsupported = unsupportedOptions(means);
  for (const [name, why] of Object.entries(unsupported)) {
    if (options[name as keyof RunOptions] !== undefined) throw new Error(why);
  }
  const { nice, maxMemoryBytes, maxProcesses = means.maxProcesses, maxOpenFiles } = options;
  if ((maxOpenFiles ?? 0) > means.mostOpenFiles) {
    throw new Error(`max_open_files can be ${means.mostOpenFiles} at most: the server itself may have no more open`);
  }
  const start: LimitedStart = { prefix: [...means.confiner], environment: {}, group: {} };
  if (nice !== undefined) start.prefix.push(means.nice as string, '-n', `${nice}`);
  if (maxMemoryBytes !== undefined) {
    if (means.controllers.includes('memory')) start.group['memory.max'] = `${maxMemoryBytes}`;
    else start.environment.SHELLVISOR_MEMORY_KIB = `${Math.floor(maxMemoryBytes / 1024)}`;
  }
  if (maxProcesses !== undefined) {
    if (means.controllers.includes('pids')) start.group['pids.max'] = `${maxProcesses}`;
    else start.environment.SHELLVISOR_PROCESSES = `${maxProcesses}`;
  }
  // At most what there is: a default shall fit everywhere.
  const openFiles = maxOpenFiles ?? (means.maxOpenFiles && Math.min(means.maxOpenFiles, means.mostOpenFiles));
  if (openFiles !== undefined) start.environment.SHELLVISOR_OPEN_FILES = `${openFiles}`;
  return start;
}
