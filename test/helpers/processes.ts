import { readdirSync, readFileSync } from 'node:fs';

/**
 * The ids of all living processes whose command line holds a text. Tests put a text of their own into what they start,
 * so that they find it however it has detached itself.
 */
export function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const isZombie = /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
        return !isZombie && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(text);
      } catch {
        return false;
      }
    })
    .map(Number);
}

let last = 0;
/** A number of seconds for `sleep` that nobody else sleeps for: it identifies the process. */
export function uniqueSeconds(): string {
  return `${100_000 + process.pid}.${++last}`;
}
