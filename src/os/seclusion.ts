/** Keeps what a process of ours has to itself: from its children, and from others of the same user. */
import { closeSync, readdirSync } from 'node:fs';
import { readProcFile } from './mark.ts';
import { PR_SET_DUMPABLE, prctlBy } from './prctl.ts';

/** As `flags` in /proc/PID/fdinfo shows it, see proc_pid_fdinfo(5). */
const O_CLOEXEC = 0o2000000;

/**
 * To be called as the first thing.
 *
 * Others of our user can't look into us from now on: not into memory, environment and descriptors (proc(5), ptrace(2)), and
 * not by a core dump.
 * @returns whether that was possible.
 */
export async function seclude(): Promise<boolean> {
  closeInherited();
  try {
    const { default: koffi } = await import('koffi');
    return prctlBy(koffi.load(null)).set(PR_SET_DUMPABLE, 0);
  } catch {
    return false;
  }
}

/**
 * Closes what whoever started us left open by mistake: we know of none of it, and a child would inherit it. All that is ours
 * is close-on-exec.
 */
export function closeInherited(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name);
    const [, flags] = /^flags:\t(\d+)$/m.exec(readProcFile(`/proc/self/fdinfo/${fd}`) ?? '') ?? [];
    if (fd > 2 && flags !== undefined && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0) closeSync(fd);
  }
}
