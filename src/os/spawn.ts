/**
 * Starts programs as session leaders of their own, with real pipes.
 *
 * Two ways, chosen once at start:
 * - `posix_spawn` through koffi: real pipes, cost independent of our heap, and the child stays unreaped until we say
 *   so, which keeps its process id from being reused while we still signal its group.
 * - `child_process`, see `child-process.ts`: where koffi has no binary for the machine, and as another user.
 */
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import type { Account } from './account.ts';
import { HANDED_FD, hand, spawnerAs, spawnerByChildProcess } from './child-process.ts';
import { pipesBy } from './pipes.ts';
import { renouncePrivileges } from './privileges.ts';
import { closeInherited } from './seclusion.ts';
import { SIDE_FD, type SidePipe, sidePipesBy } from './side-pipe.ts';
import { systemError } from './system-error.ts';
import { type WaitStatus, waitFor } from './wait.ts';

/** A child process that leads its own session and process group, both numbered by its `pid`. */
export interface Child {
  readonly pid: number;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** To be closed by whoever has started it. */
  readonly side: SidePipe;
  /** Resolves when the child ended. It may stay a zombie until `reap`. */
  readonly exited: Promise<WaitStatus>;
  /** Whether it stays a zombie until `reap`, so that its process id can't become another's. */
  readonly isHeld: boolean;
  /** Gives the process id back to the system. Call it once, after `exited` and the last signal to the group. */
  reap(): void;
}

export interface SpawnOptions {
  cwd: string;
  /** The whole environment of the child. */
  env: Record<string, string>;
  /** An open descriptor that it reads its stdin from; undefined: `/dev/null`. */
  stdin?: number | undefined;
  /** What it can read from HANDED_FD, to the end: nobody else sees it, as they do its arguments. */
  handed?: Uint8Array | undefined;
  /**
   * What has to be done before it may go on, which it waits for by itself: by reading a line from GATE_FD, or the end where this
   * fails. Only as another user.
   */
  admit?: ((pid: number) => Promise<void>) | undefined;
}

export interface Spawner {
  readonly kind: 'posix_spawn' | 'child_process';
  /** Whether what it starts can't gain privileges, see `privileges.ts`. */
  readonly deniesPrivileges: boolean;
  /** Starts `file`, an absolute path. @throws Error saying why the system refused. */
  spawn(file: string, args: readonly string[], options: SpawnOptions): Promise<Child>;
}

/** Chooses the better spawner that works here. @param as who the children are; undefined: the user that we are. */
export async function createSpawner(as?: Account): Promise<Spawner> {
  if (as !== undefined) return spawnerAs(as);
  try {
    return await posixSpawner();
  } catch {
    // posix_spawn does that by itself, for each child.
    closeInherited();
    return spawnerByChildProcess;
  }
}

// Constants of Linux, the same on x86_64 and arm64: <spawn.h>.
const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
const POSIX_SPAWN_SETSID = 0x80;

/** Most spawns at once: libuv has four threads for them, and koffi refuses more calls than 256. */
const MOST_AT_ONCE = 16;

/** How often to look for ended children besides at each SIGCHLD, in ms. */
const LOOK_MS = 1000;

async function posixSpawner(): Promise<Spawner> {
  const { default: koffi } = await import('koffi');
  const libc = koffi.load(null);
  const initActions = libc.func('int posix_spawn_file_actions_init(void *actions)');
  const destroyActions = libc.func('int posix_spawn_file_actions_destroy(void *actions)');
  const addOpen = libc.func(
    'int posix_spawn_file_actions_addopen(void *actions, int fd, const char *path, int flags, uint mode)',
  );
  const addDup2 = libc.func('int posix_spawn_file_actions_adddup2(void *actions, int from, int to)');
  const addChdir = libc.func('int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)');
  const initAttributes = libc.func('int posix_spawnattr_init(void *attributes)');
  const setFlags = libc.func('int posix_spawnattr_setflags(void *attributes, short flags)');
  const setDefaultSignals = libc.func('int posix_spawnattr_setsigdefault(void *attributes, void *set)');
  const setSignalMask = libc.func('int posix_spawnattr_setsigmask(void *attributes, void *set)');
  const posixSpawn = libc.func(
    'int posix_spawn(_Out_ int *pid, const char *path, void *actions, void *attributes, const char **argv, const char **envp)',
  );
  // On a worker thread: posix_spawn suspends its caller until the child has exec'ed, 1.5 ms each time.
  const spawnAside = promisify(posixSpawn.async) as (...args: unknown[]) => Promise<number>;
  const pipe = pipesBy(koffi, libc);
  const close = libc.func('int close(int fd)');
  const { endOf, reap } = waitFor(libc);
  await renouncePrivileges(libc);
  const sidePipe = sidePipesBy(libc);
  // Descriptors that whoever started us left open must not reach scripts. glibc ≥ 2.34 has it; ours are close-on-exec anyway.
  const addCloseFrom = optional(() =>
    libc.func('int posix_spawn_file_actions_addclosefrom_np(void *actions, int lowest)'),
  );

  // Larger than any libc's posix_spawnattr_t (336 bytes in glibc) and sigset_t (128).
  const attributes = Buffer.alloc(512);
  initAttributes(attributes);
  setFlags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  // Node ignores SIGPIPE, and an ignored signal stays ignored across exec: set all back to their default.
  setDefaultSignals(attributes, Buffer.alloc(128, 0xff));
  setSignalMask(attributes, Buffer.alloc(128));

  const waiting = new Map<number, (status: WaitStatus) => void>();

  function look(): void {
    for (const [pid, resolve] of waiting) {
      const status = endOf(pid);
      if (status === null) continue;
      waiting.delete(pid);
      resolve(status);
    }
    if (waiting.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  }

  let timer: NodeJS.Timeout | undefined;
  function untilExit(pid: number): Promise<WaitStatus> {
    // A SIGCHLD listener keeps no event loop alive, this does.
    timer ??= setInterval(look, LOOK_MS);
    // It may have ended before we got here, and its SIGCHLD come in vain.
    lookSoon();
    return new Promise((resolve) => waiting.set(pid, resolve));
  }

  /** Many children start and end at once under load; one look serves all of them. */
  function lookSoon(): void {
    if (scheduled) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      look();
    });
  }
  let scheduled = false;
  process.on('SIGCHLD', lookSoon);

  const slots = new Slots(MOST_AT_ONCE);

  return {
    kind: 'posix_spawn',
    deniesPrivileges: true,
    async spawn(file, args, { cwd, env, stdin, handed }) {
      await slots.take();
      const open: number[] = [];
      // Larger than any libc's posix_spawn_file_actions_t (80 bytes in glibc).
      const actions = Buffer.alloc(256);
      initActions(actions);
      try {
        const [out, outEnd] = pipe();
        open.push(out, outEnd);
        const [err, errEnd] = pipe();
        open.push(err, errEnd);
        const [side, sideEnd] = pipe();
        open.push(side, sideEnd);
        if (stdin === undefined) addOpen(actions, 0, '/dev/null', 0, 0);
        else addDup2(actions, stdin, 0);
        addDup2(actions, outEnd, 1);
        addDup2(actions, errEnd, 2);
        addDup2(actions, sideEnd, SIDE_FD);
        addChdir(actions, cwd);
        let handOver: number | undefined;
        let handedEnd: number | undefined;
        if (handed !== undefined) {
          [handedEnd, handOver] = pipe();
          open.push(handedEnd, handOver);
          addDup2(actions, handedEnd, HANDED_FD);
        }
        addCloseFrom?.(actions, handed === undefined ? HANDED_FD : HANDED_FD + 1);
        const pidOut = [0];
        const envp = Object.entries(env).map(([name, value]) => `${name}=${value}`);
        const errno = await spawnAside(pidOut, file, actions, attributes, [file, ...args, null], [...envp, null]);
        if (errno !== 0) throw systemError('posix_spawn', errno);
        const pid = pidOut[0] as number;
        close(outEnd);
        close(errEnd);
        close(sideEnd);
        if (handedEnd !== undefined) close(handedEnd);
        open.length = 0;
        if (handed !== undefined) hand(new Socket({ fd: handOver, readable: false, writable: true }), handed);
        return {
          pid,
          stdout: new Socket({ fd: out, readable: true, writable: false }),
          stderr: new Socket({ fd: err, readable: true, writable: false }),
          side: sidePipe(side),
          exited: untilExit(pid),
          isHeld: true,
          reap: () => void reap(pid),
        };
      } finally {
        slots.giveBack();
        destroyActions(actions);
        for (const fd of open) close(fd);
      }
    },
  };
}

/** Lets so many do something at once; the others wait in line. */
class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async take(): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  giveBack(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}

function optional<T>(load: () => T): T | undefined {
  try {
    return load();
  } catch {
    return undefined;
  }
}
