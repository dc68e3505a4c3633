/**
 * What /proc tells about process trees, and how to end one.
 *
 * A process belongs to a command when it carries the command's marker in its environment, is in the session or process
 * group that the command's bash leads, or descends from such a process. Zombies don't count: they are dead already.
 * (Not seen: a process that left the session, erased its environment and outlived its parent, all before our first look.)
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** The environment variable that marks a command's processes; scripts may read their own uuid from it. */
export const MARKER = 'SHELLVISOR_COMMAND_UUID';

interface ProcessEntry {
  pid: number;
  ppid: number;
  group: number;
  session: number;
  /** The uuid in the marker, if it carries one. */
  uuid: string | undefined;
}

/** Which tree is meant: by uuid, and by its leader while that process id is surely still ours. */
export interface TreeId {
  uuid: string;
  leader?: number;
}

/** The process table as one look at /proc saw it. */
export class ProcessTable {
  readonly #entries: ProcessEntry[] = [];
  readonly #children = new Map<number, ProcessEntry[]>();

  /** Whether nothing was forked during the look, so that it saw every process. */
  readonly isConclusive: boolean;

  /** Looks at /proc now. @throws when it can't be read. */
  constructor() {
    const forks = forkCount();
    for (const name of readdirSync('/proc')) {
      const pid = Number(name);
      if (!Number.isInteger(pid) || pid === process.pid) continue;
      const entry = readEntry(pid);
      if (entry === null) continue;
      this.#entries.push(entry);
      const siblings = this.#children.get(entry.ppid);
      if (siblings === undefined) this.#children.set(entry.ppid, [entry]);
      else siblings.push(entry);
    }
    this.isConclusive = forks !== undefined && forks === forkCount();
  }

  /** The ids of all living processes of a tree. */
  membersOf(tree: TreeId): number[] {
    const found = new Set<number>();
    const add = (entry: ProcessEntry) => {
      if (found.has(entry.pid)) return;
      found.add(entry.pid);
      for (const child of this.#children.get(entry.pid) ?? []) add(child);
    };
    for (const entry of this.#entries) {
      const led = tree.leader !== undefined && (entry.session === tree.leader || entry.group === tree.leader);
      if (led || entry.uuid === tree.uuid) add(entry);
    }
    return [...found];
  }
}

/** Reads one process; null when it is gone or a zombie. proc(5): fields are counted after the last `)`. */
function readEntry(pid: number): ProcessEntry | null {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === null) return null;
  const [state, ppid, group, session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ', 4);
  if (state === 'Z' || state === 'X') return null;
  // Kernel threads descend from kthreadd (2) and have no environment.
  const environment = Number(ppid) === 2 ? null : read(`/proc/${pid}/environ`);
  return {
    pid,
    ppid: Number(ppid),
    group: Number(group),
    session: Number(session),
    uuid: environment === null ? undefined : markerIn(environment),
  };
}

function markerIn(environment: string): string | undefined {
  const prefix = `${MARKER}=`;
  const start = environment.startsWith(prefix) ? 0 : environment.indexOf(`\0${prefix}`) + 1;
  if (start === 0 && !environment.startsWith(prefix)) return undefined;
  const end = environment.indexOf('\0', start);
  return environment.slice(start + prefix.length, end === -1 ? undefined : end);
}

/** Processes end while we look, and some are not ours to look into; all else, such as EMFILE, is a look that failed. */
function read(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (/^(ENOENT|ESRCH|EACCES|EPERM)$/.test((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

/**
 * Sends a signal to a process, or to a process group by its negative id. One that is gone is no error, and neither is
 * one that we may not signal, such as what a script started by sudo: it still shows as alive to who waits for its end.
 */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!/^(ESRCH|EPERM)$/.test((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

let shared: Promise<ProcessTable> | undefined;

/** First pause between two looks at /proc, in ms. */
const LOOK_AGAIN_MS = 10;
/** Pause after a look that failed, in ms. */
const FAILED_LOOK_MS = 200;

/** Takes a look that is shared by all who ask for one within the next few ms: under a mass stop there are hundreds. */
export function lookAtProcesses(): Promise<ProcessTable> {
  shared ??= delay(LOOK_AGAIN_MS).then(() => {
    shared = undefined;
    return new ProcessTable();
  });
  return shared;
}

/**
 * /proc is not read in one instant: a look can miss a process that forks, while its parent ends, to a number that the
 * look has already passed. One during which nothing at all was forked on the machine is conclusive; of others, many in
 * a row must find nothing.
 */
const EMPTY_LOOKS = 8;

/**
 * Waits until nothing of a tree lives. While `hard()` is true each look also kills what it finds.
 * @returns how many processes it killed.
 */
export async function untilEmpty(tree: TreeId, hard: () => boolean): Promise<number> {
  const killed = new Set<number>();
  let emptyLooks = 0;
  let pause = LOOK_AGAIN_MS;
  while (emptyLooks < EMPTY_LOOKS) {
    let table: ProcessTable;
    try {
      table = await lookAtProcesses();
    } catch {
      // Out of descriptors or memory: not having seen anything says nothing. It passes, or an operator has to help.
      await delay(FAILED_LOOK_MS);
      continue;
    }
    const members = table.membersOf(tree);
    if (members.length === 0) {
      emptyLooks += table.isConclusive ? EMPTY_LOOKS : 1;
      continue;
    }
    emptyLooks = 0;
    if (hard()) {
      for (const pid of members) {
        signal(pid, 'SIGKILL');
        killed.add(pid);
      }
    } else {
      await delay(pause);
      pause = Math.min(pause * 2, 100);
    }
  }
  return killed.size;
}

/** How many processes were ever forked on this machine: `processes` in proc_stat(5). */
function forkCount(): string | undefined {
  return /^processes (\d+)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1];
}
