/**
 * Children that can't gain privileges: to those with `no_new_privs` (prctl(2)) the kernel gives none that its parent has not,
 * by sudo, by setuid bits or by capabilities of files, and no child can take that off again.
 *
 * It belongs to a thread, and whoever that starts inherits it. libuv makes all of its threads at once, when the first of them
 * is needed, and forks in the main one.
 */
import { readdirSync } from 'node:fs';
import type { LibraryHandle } from 'koffi';
import { readProcFile } from './mark.ts';
import { PR_SET_NO_NEW_PRIVS, prctlBy } from './prctl.ts';

/** How libuv names the threads that calls beside the main thread are made in. */
const WORKER = /^Name:\tlibuv-worker$/m;
const NO_NEW_PRIVS = /^NoNewPrivs:\t1$/m;

/** Some thread may take several calls of a round while another one sleeps; it never took a second round. */
const MOST_ROUNDS = 1000;

/** @throws when some thread can still start children that gain privileges. */
export async function renouncePrivileges(libc: LibraryHandle): Promise<void> {
  const { set, setAside } = prctlBy(libc);
  if (!set(PR_SET_NO_NEW_PRIVS, 1)) throw new Error('the kernel has no no_new_privs');
  for (let round = 0; round < MOST_ROUNDS; round++) {
    // The first call makes those threads, should they not be there yet: then they have it from the main thread.
    await setAside(PR_SET_NO_NEW_PRIVS, 1);
    const workers = statusOfThreads().filter((status) => WORKER.test(status));
    if (workers.length > 0 && workers.every((status) => NO_NEW_PRIVS.test(status))) return;
    await Promise.all(workers.map(() => setAside(PR_SET_NO_NEW_PRIVS, 1)));
  }
  throw new Error('the threads of libuv can not be reached');
}

/** Whether the main thread has it, by us or by whoever has started us. */
export function hasRenounced(): boolean {
  return NO_NEW_PRIVS.test(readProcFile(`/proc/self/task/${process.pid}/status`) ?? '');
}

function statusOfThreads(): string[] {
  return readdirSync('/proc/self/task').map((id) => readProcFile(`/proc/self/task/${id}/status`) ?? '');
}
