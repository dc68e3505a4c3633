/** The clean environment of scripts: an allow-list, so that no secret of the server ever reaches them. */
import { homedir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { UUID_VARIABLE } from '../os/mark.ts';

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

/** What bash sources before a script: see there. It removes from the environment what only it needs. */
const PROLOGUE = fileURLToPath(new URL('prologue.bash', import.meta.url));

/** The environment of one command: what all share, its uuid, and what its bash needs before its script. */
export function commandEnvironment(
  clean: Record<string, string>,
  uuid: string,
  forPrologue: Record<string, string>,
): Record<string, string> {
  return { ...clean, [UUID_VARIABLE]: uuid, ...forPrologue, BASH_ENV: PROLOGUE };
}

/** npm puts its own folders in front of PATH; a script's `node` shall be the machine's, not ours. */
function ownPath(path = FALLBACK_PATH): string {
  const folders = path.split(':').filter((folder) => folder !== '' && !/\/(node_modules|node-gyp-bin)\b/.test(folder));
  return folders.join(':') || FALLBACK_PATH;
}
