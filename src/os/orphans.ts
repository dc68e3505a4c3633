/**
 * Orphans: processes of scripts that have lost their parent. We adopt them (PR_SET_CHILD_SUBREAPER, prctl(2)), so that
 * none can get away from us by a double fork: whoever lives of a tree whose bash has ended descends from a child of ours,
 * and until we reap it a child of ours keeps its process id, so that no signal meets somebody else.
 *
 * What a script starts can lower the limit that is its mark (`mark.ts`), but never to what those have that are no script's. One
 * that is neither marked as a command that we know nor has our own limit is a stray: it is killed when it is seen, since nobody
 * can tell any more whose it is. It keeps its command as long as that is in its environment.
 *
 * Adopted children show in the main thread's list of children; those that posix_spawn makes belong to worker threads
 * (`spawn.ts`) and don't.
 */
import { openSync, readSync } from 'node:fs';
import { hasLoweredLimit, readMark } from './mark.ts';
import { PR_SET_CHILD_SUBREAPER, prctlBy } from './prctl.ts';
import { signal } from './signal.ts';
import { waitFor } from './wait.ts';

/** The longest that one hunt blocks the event loop, in ms. */
const HUNT_MS = 5;
/** How often one that may be forking itself away is looked for before it counts as found. */
const LOOKS = 3;

/** The marks of commands that run, or have left something among the adopted. Children are those of the whole process. */
const known = new Set<string>();
/** Those of commands that have ended. */
const ended = new Set<string>();

/** In place of the mark of a stray. */
const STRAY = 'stray';

/** The orphans that this process has adopted. */
export interface Orphans {
  /** From now on there may be some of this tree. */
  expect(mark: string): void;
  /** There will be no others of this tree than those that live now, and what they start. */
  release(mark: string): void;
  /** Whether something of a tree lives among the adopted, or a stray, which may be of it. */
  has(mark: string): boolean;
  /**
   * Kills the adopted processes of a tree. One that forks itself away again and again lives for a fraction of a
   * millisecond under each process id, too short for a look at /proc; but each of them becomes a child of ours, and the
   * signal meets it while it forks, which makes the fork fail.
   * @returns how many were killed.
   */
  hunt(mark: string): number;
}

/**
 * Adopts orphans from now on, and reaps those that end.
 * @param isOwnChild tells the children that somebody else in this process started and will reap.
 * @returns null where koffi or the kernel can't do it.
 */
export async function adoptOrphans(isOwnChild: (pid: number) => boolean): Promise<Orphans | null> {
  const system = await load();
  if (system === null) return null;
  const { children } = system;

  /**
   * The marks of the adopted, each read once: a process id stays that of the same child until it is reaped, and what was
   * not marked when it became ours is no script's. PostgreSQL's may be there for good, and be looked at with each command.
   */
  let marks = new Map<number, string | undefined>();
  const markOf = (pid: number) => {
    const mark = readMark(pid);
    return (mark !== undefined && known.has(mark)) || !hasLoweredLimit(pid) ? mark : STRAY;
  };
  const look = () => {
    const seen = new Map<number, string | undefined>();
    for (const pid of children()) {
      if (!isOwnChild(pid)) seen.set(pid, marks.has(pid) ? marks.get(pid) : markOf(pid));
    }
    marks = seen;
  };
  /** The children of a tree and the strays, the dead among them included. */
  const adopted = (mark: string) => {
    look();
    const found: number[] = [];
    for (const [pid, its] of marks) {
      if (its === STRAY) signal(pid, 'SIGKILL');
      if (its === STRAY || its === mark) found.push(pid);
    }
    return found;
  };
  const reap = (pid: number) => {
    const isReaped = system.reap(pid);
    if (isReaped) marks.delete(pid);
    return isReaped;
  };

  let scheduled = false;
  process.on('SIGCHLD', () => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      try {
        for (const pid of children()) if (!isOwnChild(pid)) reap(pid);
      } catch {
        // Out of descriptors or memory; the next one that ends brings us back.
      }
    });
  });

  return {
    expect(mark) {
      known.add(mark);
    },
    release(mark) {
      ended.add(mark);
      try {
        look();
      } catch {
        // Out of descriptors or memory: the next that is released brings us back.
        return;
      }
      const there = new Set(marks.values());
      for (const over of ended) {
        if (there.has(over)) continue;
        ended.delete(over);
        known.delete(over);
      }
    },
    has(mark) {
      try {
        for (let look = 0; look < LOOKS; look++) {
          const found = adopted(mark);
          // One that forks itself away leaves a zombie that only we can remove: a list without any is conclusive.
          if (found.length === 0) return false;
          if (found.some((pid) => !reap(pid))) return true;
        }
        return true;
      } catch {
        // Out of descriptors or memory: not having seen anything says nothing.
        return true;
      }
    },
    hunt(mark) {
      const killed = new Set<number>();
      const deadline = performance.now() + HUNT_MS;
      do {
        const found = adopted(mark);
        if (found.length === 0) break;
        for (const pid of found) {
          if (reap(pid)) continue;
          signal(pid, 'SIGKILL');
          killed.add(pid);
        }
      } while (performance.now() < deadline);
      return killed.size;
    },
  };
}

/** The system calls that this takes; null where one is missing. */
async function load() {
  try {
    const { default: koffi } = await import('koffi');
    const libc = koffi.load(null);
    const { reap } = waitFor(libc);
    // proc_tid_children(5); kernels built without CONFIG_PROC_CHILDREN have none.
    const list = openSync(`/proc/self/task/${process.pid}/children`, 'r');
    if (!prctlBy(libc).set(PR_SET_CHILD_SUBREAPER, 1)) return null;
    const part = Buffer.alloc(64 * 1024);
    return {
      reap,
      /** The children of the main thread, as they are now. */
      children(): number[] {
        let text = '';
        for (;;) {
          const length = readSync(list, part, 0, part.length, text.length);
          if (length === 0) return text.split(' ').filter(Boolean).map(Number);
          text += part.toString('latin1', 0, length);
        }
      },
    };
  } catch {
    return null;
  }
}
