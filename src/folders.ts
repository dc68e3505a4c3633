/** Making folders. */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a folder and those above it that are missing; one that is there stays as it is. Not with `recursive` of Node: that
 * never returns where a file system has no room for new names, such as /proc, which says ENOENT to them for ever.
 * @throws the error of mkdir(2).
 */
export function makeFolders(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
    const above = dirname(path);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || statSync(above, { throwIfNoEntry: false })) throw error;
    makeFolders(above, mode);
    mkdirSync(path, { mode });
  }
}
