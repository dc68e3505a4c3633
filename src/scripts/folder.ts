/** Whether a script can start in a folder. */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';

const REASONS: Record<string, string> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'is no folder',
  EACCES: 'may not be entered by the user that the server runs as',
  ELOOP: 'goes round in a circle of symbolic links',
  ENAMETOOLONG: 'has a name that is too long',
};

/** @returns why a script can't start in this folder, as a sentence for the client; null when it can. */
export async function folderProblem(path: string): Promise<string | null> {
  try {
    const isFolder = (await stat(path)).isDirectory();
    if (!isFolder) return `cwd is no folder: ${path}`;
    await access(path, constants.X_OK);
    return null;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    return `cwd ${REASONS[code] ?? `can't be used (${code})`}: ${path}`;
  }
}
