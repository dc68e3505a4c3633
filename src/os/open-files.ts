import { readFileSync } from 'node:fs';

/** How many descriptors a process of ours may have at most: its hard limit, see proc_pid_limits(5). Node raises the soft one to it. */
export function mostOpenFiles(): number {
  const hard = /^Max open files +\S+ +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
  return hard === undefined ? Number.POSITIVE_INFINITY : Number(hard);
}
