/**
 * The clean environment of scripts: an allow-list, so that no secret of the server is handed to them. (A script that looks
 * for one runs as the server's user all the same, and may read what that user may.)
 */
import { homedir } from 'node:os';
import { actsBeforeScript, isServersVariable } from '../command.ts';
import { UUID_VARIABLE } from '../os/mark.ts';
import { SIDE_FD } from '../os/side-pipe.ts';
import type { ScriptAccount } from '../ports/process.ts';

/** The variable that says to which descriptor a script writes how far it is. */
const PROGRESS_VARIABLE = 'SHELLVISOR_PROGRESS_FD';

const ALLOWED = /^(HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR)$/;
const FALLBACK_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Makes the environment that all scripts share from the server's own. @param account who they run as, where not as we. */
export function cleanEnvironment(
  env: Record<string, string | undefined>,
  account?: ScriptAccount,
): Record<string, string> {
  const clean: Record<string, string> = { HOME: homedir(), PATH: ownPath(env.PATH) };
  for (const [name, value] of Object.entries(env)) {
    if (ALLOWED.test(name) && value !== undefined) clean[name] = value;
  }
  if (account === undefined) return clean;
  const { name, home, shell } = account;
  return { ...clean, HOME: home, USER: name, LOGNAME: name, SHELL: shell };
}

/**
 * What a client gives its command, without what no command may have: that comes from the database, and may be older than the
 * rule that would refuse it.
 */
export function clientVariables(given: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(given).filter(([name]) => !actsBeforeScript(name) && !isServersVariable(name)),
  );
}

/**
 * The environment that bash of one command starts with: what all share, what its client gives it, its uuid, where it tells its progress, and what
 * its bash needs before its script.
 * @param prologue what bash sources first: `prologue.bash`. It removes from the environment what only it needs.
 */
export function commandEnvironment(
  clean: Readonly<Record<string, string>>,
  given: Readonly<Record<string, string>>,
  uuid: string,
  prologue: string,
  forPrologue: Record<string, string>,
): Record<string, string> {
  const own = { [UUID_VARIABLE]: uuid, [PROGRESS_VARIABLE]: `${SIDE_FD}` };
  return { ...clean, ...clientVariables(given), ...own, ...forPrologue, BASH_ENV: prologue };
}

/** npm puts its own folders in front of PATH; a script's `node` shall be the machine's, not ours. */
function ownPath(path = FALLBACK_PATH): string {
  const folders = path.split(':').filter((folder) => folder !== '' && !/\/(node_modules|node-gyp-bin)\b/.test(folder));
  return folders.join(':') || FALLBACK_PATH;
}
