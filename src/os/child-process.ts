/**
 * Starts children by Node's `child_process`: where koffi has no binary for the machine, and as another user, which posix_spawn
 * can't. It forks our whole heap in the main thread, and libuv reaps at once.
 *
 * As another user: libuv takes its ids before it becomes the program, so that nothing runs as root with the environment of a
 * client, and drops all supplementary groups.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { closeSync, fchownSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import type { Account } from './account.ts';
import { pipesBy } from './pipes.ts';
import { hasRenounced, renouncePrivileges } from './privileges.ts';
import { closeInherited } from './seclusion.ts';
import { SIDE_FD, sidePipeOf, sidePipesBy } from './side-pipe.ts';
import type { Child, Spawner } from './spawn.ts';
import type { WaitStatus } from './wait.ts';

/** Where a child finds what it is handed. */
export const HANDED_FD = SIDE_FD + 1;
/** Where a child that is to be admitted waits. */
export const GATE_FD = HANDED_FD + 1;

/** The ends of the pipes of a child. */
interface Ends {
  /** For its descriptors from 1 on. */
  theirs: readonly (number | 'pipe')[];
  /** Takes our ends, once it is started. */
  ours(child: ChildProcess): Pick<Child, 'stdout' | 'stderr' | 'side'>;
  /** Closes what is left open here when it is started, or could not be. */
  close(): void;
}

/** Socket pairs: they need nothing, but a child can't open them by name. */
const socketPairs = (): Ends => ({
  theirs: ['pipe', 'pipe', 'pipe'],
  ours: ({ stdio }) => ({
    stdout: stdio[1] as Readable,
    stderr: stdio[2] as Readable,
    side: sidePipeOf(stdio[SIDE_FD] as Readable),
  }),
  close() {},
});

/** Those that libuv will reap. */
const living = new Set<number>();

/** Whether libuv waits for this child, and would miss its end if somebody else reaped it. */
export const isWaitedFor = (pid: number): boolean => living.has(pid);

/** @param as who starts the children; undefined: we. @param ends what makes their pipes. */
export function spawnerByNode(as?: Account, ends: () => Ends = socketPairs): Spawner {
  const ids = as === undefined ? {} : { uid: as.uid, gid: as.gid };
  return {
    kind: 'child_process',
    get deniesPrivileges() {
      return hasRenounced();
    },
    async spawn(file, args, { stdin, handed, admit, ...options }) {
      const { theirs, ours, close } = ends();
      try {
        // Beyond the first three descriptors `ignore` leaves them closed.
        const pipeFor = (wanted: unknown) => (wanted === undefined ? 'ignore' : 'pipe');
        const stdio: StdioOptions = [stdin ?? 'ignore', ...theirs, pipeFor(handed), pipeFor(admit)];
        const child: ChildProcess = spawn(file, [...args], { ...options, ...ids, detached: true, stdio });
        const pid = child.pid as number;
        if (child.pid !== undefined) living.add(pid);
        const exited = new Promise<WaitStatus>((resolve) =>
          child.once('exit', (exitCode, signal) => {
            living.delete(pid);
            resolve(signal === null ? { exitCode: exitCode as number, signal } : { exitCode: null, signal });
          }),
        );
        await new Promise<void>((resolve, reject) => {
          child.once('spawn', resolve);
          child.once('error', reject);
        });
        if (handed !== undefined) hand(child.stdio[HANDED_FD] as Writable, handed);
        if (admit !== undefined) await open(child.stdio[GATE_FD] as Writable, () => admit(pid));
        const pipes = ours(child);
        return { pid, ...pipes, exited, isHeld: false, reap: () => {} };
      } finally {
        close();
      }
    },
  };
}

/** Gives a child all of this, as fast as it reads. */
export function hand(pipe: Writable, bytes: Uint8Array): void {
  // It may have been killed before it has read all.
  pipe.on('error', () => {});
  pipe.end(bytes);
}

/** Lets the child go on; where it can't be admitted it reads the end instead, and gives up. */
async function open(gate: Writable, admit: () => Promise<void>): Promise<void> {
  // It may have been killed meanwhile.
  gate.on('error', () => {});
  try {
    await admit();
    gate.end('\n');
  } catch (error) {
    gate.destroy();
    throw error;
  }
}

/** The spawner that works everywhere; see above for what it can't do. */
export const spawnerByChildProcess = spawnerByNode();

/** One that starts children as another user, with real pipes where koffi works. */
export async function spawnerAs(account: Account): Promise<Spawner> {
  closeInherited();
  try {
    const { default: koffi } = await import('koffi');
    const libc = koffi.load(null);
    await renouncePrivileges(libc);
    const pipe = pipesBy(koffi, libc);
    const sidePipe = sidePipesBy(libc);
    return spawnerByNode(account, () => {
      const pairs: [number, number][] = [];
      const closeTheirs = () => {
        for (const [, theirs] of pairs) closeSync(theirs);
      };
      try {
        while (pairs.length < SIDE_FD) {
          const pair = pipe();
          pairs.push(pair);
          // Its own, so that it can open it by its name as well, such as /dev/stdout.
          fchownSync(pair[1], account.uid, account.gid);
        }
      } catch (error) {
        closeTheirs();
        for (const [ours] of pairs) closeSync(ours);
        throw error;
      }
      const [out, err, side] = pairs.map(([ours]) => ours) as [number, number, number];
      let isTaken = false;
      return {
        theirs: pairs.map(([, theirs]) => theirs),
        ours() {
          isTaken = true;
          const readable = (fd: number) => new Socket({ fd, readable: true, writable: false });
          return { stdout: readable(out), stderr: readable(err), side: sidePipe(side) };
        },
        close() {
          closeTheirs();
          if (!isTaken) for (const fd of [out, err, side]) closeSync(fd);
        },
      };
    });
  } catch {
    return spawnerByNode(account);
  }
}
