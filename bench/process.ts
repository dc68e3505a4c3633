/** What a process costs, as /proc tells it. */
import { readFileSync } from 'node:fs';

const MIB = 1024 * 1024;
/** `_SC_CLK_TCK` is 100 on every Linux that Node runs on. */
const TICK_MS = 10;

/** Resident memory of processes together in MiB; `peak` is the most that each ever had. */
export function residentMiB(pids: readonly number[], which: 'now' | 'peak' = 'now'): number {
  const kib = pids.map((pid) =>
    kibOf(readFileSync(`/proc/${pid}/status`, 'latin1'), which === 'now' ? 'VmRSS' : 'VmHWM'),
  );
  return kib.reduce((sum, each) => sum + each, 0) * (1024 / MIB);
}

/** The memory of a process in MiB, what it shares with others counted by its share. */
export function proportionalMiB(pid: number): number {
  return kibOf(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'), 'Pss') * (1024 / MIB);
}

function kibOf(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]);
}

/** The processor time that processes have used, all their threads together. */
export function processorMs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + processorMsOf(pid), 0);
}

/** The processor time that the whole machine has used since its start, that of the benchmark too. */
export function machineMs(): number {
  // proc(5): user, nice, system; what interrupts take is nobody's.
  const [user, nice, system] = (readFileSync('/proc/stat', 'latin1').split('\n', 1)[0] as string).split(/\s+/).slice(1);
  return (Number(user) + Number(nice) + Number(system)) * TICK_MS;
}

function processorMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // proc(5): utime and stime, fields 14 and 15; fields are counted after the last `)`.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
