/** waitid(2) on single children. waitid(-1) would steal libuv's own children. */
import { constants } from 'node:os';
import type { LibraryHandle } from 'koffi';

/** How a child ended, as wait(2) tells it. */
export type WaitStatus = { exitCode: number; signal: null } | { exitCode: null; signal: string };

// Constants of Linux, the same on x86_64 and arm64: <sys/wait.h>.
const P_PID = 1;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x01000000;
const CLD_EXITED = 1;

// Places in siginfo_t of Linux on 64 bits.
const SI_CODE = 8;
const SI_PID = 16;
const SI_STATUS = 24;

const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** @throws when libc has no waitid. */
export function waitFor(libc: LibraryHandle) {
  const waitid = libc.func('int waitid(int type, uint id, void *info, int options)');
  const info = Buffer.alloc(128);

  /** Whether a child has ended; `info` then says how. */
  function hasEnded(pid: number, options: number): boolean {
    // si_pid stays 0 when there is nothing to wait for.
    info.writeInt32LE(0, SI_PID);
    return waitid(P_PID, pid, info, options) === 0 && info.readInt32LE(SI_PID) !== 0;
  }

  return {
    /** Looks, without reaping, whether a child has ended. */
    endOf(pid: number): WaitStatus | null {
      if (!hasEnded(pid, WEXITED | WNOHANG | WNOWAIT)) return null;
      const status = info.readInt32LE(SI_STATUS);
      if (info.readInt32LE(SI_CODE) === CLD_EXITED) return { exitCode: status, signal: null };
      return { exitCode: null, signal: signalNames.get(status) ?? `SIG${status}` };
    },
    /** Reaps a child if it has ended. @returns whether it had. */
    reap: (pid: number): boolean => hasEnded(pid, WEXITED | WNOHANG),
  };
}
