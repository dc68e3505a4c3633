/**
 * What one look at /proc tells about process trees.
 *
 * A process belongs to a command when it carries the command's mark, is in the session or process group that the
 * command's bash leads, or descends from such a process. Zombies don't count: they are dead already.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { readMark, readProcFile } from './mark.ts';

export interface ProcessEntry {
  pid: number;
  ppid: number;
  /** Process group. */
  group: number;
  session: number;
  mark: string | undefined;
}

/** Which tree is meant: by its mark, and by its leader while that process id is surely still ours. */
export interface TreeId {
  mark: string;
  leader?: number | undefined;
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

  /** All living processes of a tree. */
  membersOf(tree: TreeId): ProcessEntry[] {
    const found = new Set<ProcessEntry>();
    const add = (entry: ProcessEntry) => {
      if (found.has(entry)) return;
      found.add(entry);
      for (const child of this.#children.get(entry.pid) ?? []) add(child);
    };
    for (const entry of this.#entries) {
      const led = tree.leader !== undefined && (entry.session === tree.leader || entry.group === tree.leader);
      if (led || entry.mark === tree.mark) add(entry);
    }
    return [...found];
  }
}

/** Reads one process; null when it is gone or a zombie. proc(5): fields are counted after the last `)`. */
function readEntry(pid: number): ProcessEntry | null {
  const stat = readProcFile(`/proc/${pid}/stat`);
  if (stat === null) return null;
  const [state, ppid, group, session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ', 4);
  if (state === 'Z' || state === 'X') return null;
  return {
    pid,
    ppid: Number(ppid),
    group: Number(group),
    session: Number(session),
    // Kernel threads descend from kthreadd (2) and are nobody's command.
    mark: Number(ppid) === 2 ? undefined : readMark(pid),
  };
}

/** How many processes were ever forked on this machine: `processes` in proc_stat(5). */
function forkCount(): string | undefined {
  return /^processes (\d+)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1];
}

let shared: Promise<ProcessTable> | undefined;

/** How long a look waits for others who want one too, in ms. */
const SHARE_MS = 10;

/** Takes a look that is shared by all who ask for one within the next few ms: under a mass stop there are hundreds. */
export function lookAtProcesses(): Promise<ProcessTable> {
  shared ??= delay(SHARE_MS).then(() => {
    shared = undefined;
    return new ProcessTable();
  });
  return shared;
}
