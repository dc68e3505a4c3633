/** prctl(2): what the kernel lets this process, its children, and others do with it. */
import type { LibraryHandle } from 'koffi';

// Constants of Linux: <linux/prctl.h>.
export const PR_SET_DUMPABLE = 4;
export const PR_SET_CHILD_SUBREAPER = 36;
export const PR_SET_NO_NEW_PRIVS = 38;

/** @throws when libc has no prctl. */
export function prctlBy(libc: LibraryHandle) {
  const prctl = libc.func('int prctl(int option, ulong a, ulong b, ulong c, ulong d)');
  return {
    /** In the calling thread. @returns whether the kernel did it. */
    set: (option: number, value: number): boolean => prctl(option, value, 0, 0, 0) === 0,
    /** In one of libuv's threads, whichever is free. */
    setAside: (option: number, value: number): Promise<void> =>
      new Promise((resolve, reject) =>
        prctl.async(option, value, 0, 0, 0, (error: Error | null, result: number) => {
          if (error === null && result === 0) resolve();
          else reject(error ?? new Error(`prctl ${option} failed`));
        }),
      ),
  };
}
