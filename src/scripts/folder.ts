/** Whether a script can start in a folder. */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import type { ScriptAccount } from '../ports/process.ts';

const REASONS: Record<string, string> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'is no folder',
  EACCES: 'may not be entered by the user that the server runs as',
  ELOOP: 'goes round in a circle of symbolic links',
  ENAMETOOLONG: 'has a name that is too long',
};

/**
 * @param account the user that scripts run as, if not ours.
 * @returns why a script can't start in this folder, as a sentence for the client; null when it can.
 */
export async function folderProblem(path: string, account?: ScriptAccount): Promise<string | null> {
  if (account !== undefined) {
    // One sentence for all: what is in a folder that is closed to its scripts is nothing for a client.
    const isOpen = await mayEnter(path, account);
    return isOpen ? null : `cwd is no folder that the user that scripts run as may enter: ${path}`;
  }
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

/** Asks the kernel as that user, who may have to pass through other folders: root would be let into all. */
function mayEnter(path: string, { uid, gid }: ScriptAccount): Promise<boolean> {
  const options = { uid, gid, cwd: '/', env: { PATH: '/usr/bin:/bin' } };
  const test = ['-c', '[ -d "$1" ] && [ -x "$1" ]', 'sh', path];
  return new Promise((resolve) => execFile('sh', test, options, (error) => resolve(error === null)));
}
