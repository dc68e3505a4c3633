/** What is mounted where we can see it: proc_pid_mountinfo(5). */
import { readFileSync } from 'node:fs';

/**
 * The absolute paths, without symbolic links, of all that is mounted. Folders of the same file system can be mounted in each other
 * (`mount --bind`), which no device number tells.
 * @throws when /proc can't be read.
 */
export function mountPoints(): string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.flatMap((line) => unescapeOctal(line.split(' ')[4] ?? '') || []);
}

/** Blanks and the like in lists of mounts: getmntent(3). */
export function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
