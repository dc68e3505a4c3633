/**
 * How the processes of a command are told from all others: by a mark that its bash carries and all that descends from
 * it inherits.
 *
 * The mark is a hard limit of real-time CPU time (RLIMIT_RTTIME, in µs, getrlimit(2)): so high that it limits nothing, and
 * different for each command. Limits are inherited over fork and exec, survive setsid and `env -i`, show in
 * `/proc/PID/limits` for everybody to read, zombies included, and only root can raise one. Beside it the uuid is in the
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
  const limits = readProcFile(`/proc/${pid}/limits`);
  const hard = limits === null ? null : /^Max realtime timeout +\S+ +(\d{19})\b/m.exec(limits);
  if (hard !== null) return hard[1];
  const environment = readProcFile(`/proc/${pid}/environ`);
  const variable = environment?.split('\0').find((entry) => entry.startsWith(`${UUID_VARIABLE}=`));
  const uuid = variable?.slice(UUID_VARIABLE.length + 1);
  return uuid !== undefined && /^[0-9a-f-]{36}$/.test(uuid) ? markOf(uuid) : undefined;
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
