/** The user that scripts run as, where it is another one than the server's: `SHELLVISOR_RUN_AS`. */
import { spawnSync } from 'node:child_process';
import { StartupError } from '../errors.ts';
import type { ScriptAccount } from '../ports/process.ts';

/** Ids end before this one, which means "unchanged" to setresuid(2). */
const ID_END = 2 ** 32 - 1;

/**
 * @param spec `user` or `user:group`, by names or numbers.
 * @throws StartupError when there is no such user or group, or scripts can't be run as it.
 */
export function findAccount(spec: string): ScriptAccount {
  const fail = (why: string): never => {
    throw new StartupError(`SHELLVISOR_RUN_AS=${spec} is not possible: ${why}`);
  };
  if (process.getuid?.() !== 0) fail('only a server that runs as root can run scripts as another user');
  const [user = '', group] = spec.split(':');
  const [name = user, , uidText = user, ownGroup, , home = '/', shell = '/bin/sh'] = look('passwd', user);
  const uid = idOf(uidText) ?? fail(`there is no user ${user}`);
  if (uid === 0) fail('this is root; name a user who may do less');
  if (group === undefined && ownGroup === undefined) fail(`user ${user} has no group here; name one behind a colon`);
  const gidText = group === undefined ? ownGroup : (look('group', group)[2] ?? group);
  const gid = idOf(gidText) ?? fail(`there is no group ${group}`);
  return { name, uid, gid, home, shell };
}

/**
 * The mode of a folder in which scripts find what is theirs. Another user passes through it, and can neither look around in it nor
 * change it.
 */
export const folderModeFor = (account: ScriptAccount | undefined): number => (account === undefined ? 0o700 : 0o711);

/** The fields of a user or group in the databases of the system, by name or number; none where it is not there. */
function look(database: 'passwd' | 'group', key: string): string[] {
  const { status, stdout } = spawnSync('getent', [database, key], { encoding: 'utf8' });
  return status === 0 ? stdout.trim().split(':') : [];
}

function idOf(text = ''): number | undefined {
  return /^\d+$/.test(text) && Number(text) < ID_END ? Number(text) : undefined;
}
