/**
 * How the processes of a command are told from all others: by a mark that its bash carries and all that descends from
 * it inherits.
 *
 * The mark is a hard limit of real-time CPU time (RLIMIT_RTTIME, in µs, getrlimit(2)): so high that it limits nothing, and
 * different for each command. Limits are inherited over fork and exec, survive setsid and `env -i`, show in
 * `/proc/PID/limits` for everybody to read, zombies included, and only root can raise one. Everybody can lower one: what has no mark
 * any more shows by that whose it was not, see `orphans.ts`. Beside it the uuid is in the
 * environment: there scripts read it, and it stands in where bash is older than 5.1 and has no `ulimit -R`.
 */
import { readFileSync } from 'node:fs';

/** The environment variable that holds a command's uuid. */
export const UUID_VARIABLE = 'SHELLVISOR_COMMAND_UUID';

/** Marks are at least this, in µs: 146,000 years. */
const LEAST_MARK = 2n ** 62n;

/** The mark of a command, as `/proc/PID/limits` shows it: from the last 60 bits of its uuid, which are random. */
export function markOf(uuid: string): string {
  return String(LEAST_MARK + BigInt(`0x${uuid.replaceAll('-', '').slice(-15)}`));
}

/** The mark that a process carries, if any; undefined too when it is gone. @throws when /proc can't be read. */
export function readMark(pid: number): string | undefined {
  const limit = readLimit(pid);
  if (limit !== undefined && /^\d{19}$/.test(limit)) return limit;
  const environment = readProcFile(`/proc/${pid}/environ`);
  const variable = environment?.split('\0').find((entry) => entry.startsWith(`${UUID_VARIABLE}=`));
  const uuid = variable?.slice(UUID_VARIABLE.length + 1);
  return uuid !== undefined && /^[0-9a-f-]{36}$/.test(uuid) ? markOf(uuid) : undefined;
}

/** The limit that holds the marks, of processes that are no script's: what we have ourselves, and those inherit that we start. */
const ownLimit = readLimit('self');

/** Whether the limit of a process is lower than ours, so that a script has set it, or what was started as a script. */
export function hasLoweredLimit(pid: number): boolean {
  const limit = readLimit(pid);
  if (limit === undefined || !/^\d+$/.test(limit)) return false;
  return ownLimit === 'unlimited' || BigInt(limit) < BigInt(ownLimit ?? 0);
}

/** In µs, or `unlimited`; undefined when the process is gone. */
function readLimit(pid: number | 'self'): string | undefined {
  const limits = readProcFile(`/proc/${pid}/limits`);
  return limits === null ? undefined : /^Max realtime timeout +\S+ +(\S+)/m.exec(limits)?.[1];
}

/**
 * Reads a file of a process; null when the process is gone or not ours to look into. All else, such as EMFILE, is a
 * look that failed.
 */
export function readProcFile(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (/^(ENOENT|ESRCH|EACCES|EPERM)$/.test((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
