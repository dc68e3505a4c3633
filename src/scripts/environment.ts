/** The clean environment of scripts: an allow-list, so that no secret of the server ever reaches them. */
import { homedir } from 'node:os';
import { MARKER } from '../os/process-table.ts';

const ALLOWED = /^(HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR)$/;
const FALLBACK_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Makes the environment that all scripts share from the server's own. */
export function cleanEnvironment(env: Record<string, string | undefined>): Record<string, string> {
  const clean: Record<string, string> = { HOME: homedir(), PATH: ownPath(env.PATH) };
  for (const [name, value] of Object.entries(env)) {
    if (ALLOWED.test(name) && value !== undefined) clean[name] = value;
  }
  return clean;
}

/** Adds what marks the processes of one command as its own. */
export function markedEnvironment(clean: Record<string, string>, uuid: string): Record<string, string> {
  return { ...clean, [MARKER]: uuid };
}

/** npm puts its own folders in front of PATH; a script's `node` shall be the machine's, not ours. */
function ownPath(path = FALLBACK_PATH): string {
  const folders = path.split(':').filter((folder) => folder !== '' && !/\/(node_modules|node-gyp-bin)\b/.test(folder));
  return folders.join(':') || FALLBACK_PATH;
}
