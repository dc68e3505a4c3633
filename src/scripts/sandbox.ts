/**
 * The sandbox of a command: bubblewrap (bwrap(1)), where it is there and works.
 *
 * bash enters tree and limits as ever, then becomes bwrap, which starts another bash for the script. What that one sees: the file
 * system to be read, without `DATA_DIR`, `/run`, the folder of the server's socket and what others have in `/tmp`; its working folder
 * to be written; its own processes alone; no network, unless asked for.
 *
 * What a client gives its command for the environment gets there by bwrap, from a pipe (`sandboxEnvironment`): in that of the
 * first bash, or of any program on the way, it would act outside of the sandbox.
 *
 * Not by `--die-with-parent`: with it all would be killed the moment the script exits, before the last lines of a `> >(tee log)`
 * are there. The tree is killed as any other.
 */
import { realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import type { SandboxOptions } from '../command.ts';
import { HANDED_FD } from '../os/child-process.ts';
import { signal } from '../os/signal.ts';
import type { Spawner } from '../os/spawn.ts';

/** What is needed to make a sandbox. */
export interface SandboxMeans {
  /** Absolute paths. */
  bwrap: string;
  /** env(1), which gives the script the SIGTERM back that bwrap has to ignore. */
  env: string;
  bash: string;
  dataDir: string;
  /** The socket of the server, who would run a script without a sandbox for it; undefined: there is none. */
  socket: string | undefined;
}

/** What a command has in its sandbox. */
export interface Sandbox extends SandboxOptions {
  /** Its script file; undefined: it has none. */
  script: string | undefined;
  /** Its working folder, the only one that it can write; undefined: it has none. */
  work: string | undefined;
  /** Where it starts. */
  cwd: string;
  /** Most memory that it may have, in bytes; undefined: no limit. */
  memory: number | undefined;
}

/** How the names of hosts are looked up may be told here: those that need the network need it. */
const RESOLVERS = ['/run/systemd/resolve', '/run/resolvconf', '/run/NetworkManager'];

/**
 * What it may put into its /tmp, and into /dev/shm, in bytes, where less is not all the memory that it has. They are memory that
 * counts for none of its processes (`ulimit -v`), and could else be half of the machine's, each.
 */
const TMP_BYTES = 256 * 1024 * 1024;
const SHM_BYTES = 64 * 1024 * 1024;

/** How long the probe may take, in ms. */
const PROBE_MS = 10_000;

/**
 * The command line before the script and its arguments.
 * @throws Error for a folder that is not there in the sandbox.
 */
export function sandboxed(sandbox: Sandbox, { bwrap, env, bash, dataDir, socket }: SandboxMeans): string[] {
  const { network, script, work, cwd, memory } = sandbox;
  const data = realpathSync(dataDir);
  const empty = ['/tmp', '/run', '/dev', '/proc', data, dataDir];
  const isBelow = (path: string) => (folder: string) => path.startsWith(`${folder}/`);
  const closed = folderToClose(socket).filter((folder) => !empty.some(isBelow(`${folder}/`)));
  const start = resolve(cwd);
  const isHidden = [...empty, ...closed].some(isBelow(start)) || [data, ...closed].includes(start);
  if (cwd !== work && isHidden) throw new Error(`cwd is not there in the sandbox: ${cwd}`);
  const inData = (path: string) => path.replace(dataDir, data);
  const tmpfs = (path: string, bytes: number) => ['--size', `${bytes}`, '--tmpfs', path];
  return [
    bash,
    // A stop is for the script; bwrap tells how that has ended.
    ...['-c', `trap '' TERM; exec "$@"`, bash, bwrap, '--args', `${HANDED_FD}`],
    ...['--unshare-all', ...(network ? ['--share-net'] : []), '--cap-drop', 'ALL'],
    ...['--ro-bind', '/', '/', ...closed.flatMap((folder) => ['--tmpfs', folder])],
    ...['--dev', '/dev', '--proc', '/proc', '--tmpfs', '/run'],
    ...[...tmpfs('/tmp', memory ?? TMP_BYTES), ...tmpfs('/dev/shm', Math.min(memory ?? SHM_BYTES, SHM_BYTES))],
    ...(network ? RESOLVERS.flatMap((path) => ['--ro-bind-try', path, path]) : []),
    ...['--tmpfs', data, ...(script === undefined ? [] : ['--ro-bind', script, inData(script)])],
    ...(work === undefined ? [] : ['--bind', work, inData(work)]),
    ...[data, ...closed, '/dev', '/run'].flatMap((folder) => ['--remount-ro', folder]),
    ...['--chdir', cwd],
    ...['--', env, '--default-signal=TERM', bash],
  ];
}

/** The folder of the socket: that itself is not always there, and is another one each time that the server is started. */
function folderToClose(socket: string | undefined): string[] {
  if (socket === undefined) return [];
  const folder = realpathSync(dirname(socket));
  if (folder === '/')
    throw new Error('the socket of the server is in /, which can not be hidden; set SHELLVISOR_SOCKET');
  return [folder];
}

/** What bwrap is to be handed so that the script has these variables: its arguments (--args), which nobody else sees. */
export function sandboxEnvironment(variables: Readonly<Record<string, string>>): Uint8Array {
  const args = Object.entries(variables).flatMap(([name, value]) => ['--setenv', name, value]);
  return Buffer.from(args.map((arg) => `${arg}\0`).join(''));
}

/** Makes a sandbox once. @returns why none can be made here, for the client; null when it can. */
export async function probeSandbox(means: SandboxMeans, spawner: Spawner): Promise<string | null> {
  try {
    const [file = '', ...args] = sandboxed(
      { network: false, script: undefined, work: undefined, cwd: '/', memory: undefined },
      means,
    );
    const child = await spawner.spawn(file, [...args, '-c', 'true'], {
      cwd: '/',
      env: {},
      handed: sandboxEnvironment({}),
    });
    const timer = setTimeout(() => signal(-child.pid, 'SIGKILL'), PROBE_MS);
    const [, said, { exitCode }] = await Promise.all([text(child.stdout), text(child.stderr), child.exited]);
    clearTimeout(timer);
    child.side.close();
    child.reap();
    return exitCode === 0
      ? null
      : `bubblewrap does not work on this machine: ${said.trim().split('\n')[0] || exitCode}`;
  } catch (error) {
    return `bubblewrap does not start: ${(error as Error).message}`;
  }
}
