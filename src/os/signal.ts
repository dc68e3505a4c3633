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
