/**
 * The working folders of commands: one each, for its user alone, gone when nothing of the command lives any more. They are in a
 * folder of their owner, who holds the lock of it as long as it lives: several owners may share the root, in containers for one,
 * which see nothing of each other's processes.
 *
 *   made ── the tree is dead ──▶ removed, now
 *     └─ something may live on, or its owner is gone ──▶ swept, when no process carries the mark of the command
 *
 * Invariants:
 * - That of an owner who lives is touched by nobody else.
 * - A link in it is removed, never followed.
 * - One with something mounted in it stays as it is until that is unmounted: what lies there is somebody else's.
 * - None waits for ever for another: whoever can stop the process that empties them, as scripts of its user can, stops it for a while.
 * - The event loop does not wait for it, nor does the end of the command.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmdirSync,
} from 'node:fs';
import { readdir, rmdir, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { makeFolders } from '../folders.ts';
import { tryLock } from '../os/file-lock.ts';
import { markOf } from '../os/mark.ts';
import { mountPoints } from '../os/mounts.ts';
import { lookAtProcesses } from '../os/process-table.ts';
import { signal } from '../os/signal.ts';
import type { Spawner } from '../os/spawn.ts';
import type { ScriptAccount } from '../ports/process.ts';
import { folderModeFor } from './account.ts';

export interface WorkFoldersOptions {
  /** The folder that all of them are in. */
  root: string;
  /** Whose they are, if not ours. */
  account?: ScriptAccount | undefined;
  /** Starts processes as that user. */
  spawner: Spawner;
  /** Absolute path of bash. */
  bash: string;
  /** The clean environment. */
  env: Record<string, string>;
  /** Absolute path of flock(1); undefined: what owners leave that end before they have removed it stays. */
  flock: string | undefined;
  /** How often left folders are looked for, in ms. */
  sweepMs?: number;
  /** How long one process may take to empty folders, in ms; the next sweep goes on with what is left. */
  emptyMs?: number;
  /** Tells whoever runs the server why a folder stays. */
  warn?: ((message: string) => void) | undefined;
}

const SWEEP_MS = 60_000;
const EMPTY_MS = 60_000;
/** How many are emptied by one process. */
const BATCH = 100;

/**
 * Empties folders, as the user whose they are. Not by Node, which would take our threads for it, and goes by paths, which another
 * script of that user may make lead elsewhere meanwhile.
 * A script may have closed folders to itself, as the module cache of Go does: those are opened, the ones that can't be looked into
 * before find(1) comes to what is in them, all others many at once.
 */
const EMPTY = `
  find "$@" -xdev -mindepth 1 -delete || {
    find "$@" -xdev -type d ! -perm -u=rx -exec chmod u+rwx {} ';' -o -type d ! -perm -u=w -exec chmod u+w {} +
    find "$@" -xdev -mindepth 1 -delete
  }`;

/** The folder of an owner, which it has locked before it has this name. */
const OWNER = /^[0-9a-f]{8}$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export class WorkFolders {
  readonly #options: WorkFoldersOptions & { sweepMs: number; emptyMs: number };
  /** Ours, locked. */
  #own: LockedFolder;
  /** Those of owners that are gone, which we look after now. */
  readonly #inherited = new Map<string, LockedFolder>();
  /** Those of commands that run, by uuid. */
  readonly #inUse = new Map<string, string>();
  /** Those that are to be emptied. */
  readonly #full = new Set<string>();
  /** Those that stay for what is mounted in them, as was told. */
  readonly #mounted = new Set<string>();
  #isEmptying = false;

  /** @throws the error of mkdir(2). */
  constructor(options: WorkFoldersOptions) {
    this.#options = { sweepMs: SWEEP_MS, emptyMs: EMPTY_MS, ...options };
    this.#own = this.#makeOwn();
    void this.#sweep();
    setInterval(() => void this.#sweep(), this.#options.sweepMs).unref();
  }

  /** Makes that of a command. @returns its path. @throws the error of mkdir(2). */
  make(uuid: string): string {
    try {
      mkdirSync(join(this.#own.path, uuid), { mode: 0o700 });
    } catch (error) {
      if (!/^(ENOENT|ENOTDIR)$/.test((error as NodeJS.ErrnoException).code ?? '')) throw error;
      // A script may have removed the folders above; the next one shall not suffer for it.
      const { fd } = this.#own;
      this.#own = this.#makeOwn();
      closeSync(fd);
      mkdirSync(join(this.#own.path, uuid), { mode: 0o700 });
    }
    const path = join(this.#own.path, uuid);
    this.#inUse.set(uuid, path);
    const { account } = this.#options;
    if (account !== undefined) chownSync(path, account.uid, account.gid);
    return path;
  }

  /** Makes the folder that ours are in. Where it can't be locked it keeps a name that nobody looks after. */
  #makeOwn(): LockedFolder {
    const { root, account, flock } = this.#options;
    const mode = folderModeFor(account);
    makeFolders(root, mode);
    const name = randomBytes(4).toString('hex');
    const unlocked = join(root, `new-${name}`);
    mkdirSync(unlocked, { mode });
    chmodSync(unlocked, mode);
    const fd = openFolder(unlocked);
    if (flock === undefined || !tryLock(fd, flock)) return { path: unlocked, fd };
    const path = join(root, name);
    renameSync(unlocked, path);
    return { path, fd };
  }

  /**
   * Its command has ended.
   * @param isOver whether nothing of it lives for sure; else its folder stays as long as something does.
   */
  release(uuid: string, isOver: boolean): void {
    const path = this.#inUse.get(uuid);
    this.#inUse.delete(uuid);
    if (path !== undefined && isOver) this.#remove(path);
  }

  /** Removes it, at once where it is empty, as most are. */
  #remove(path: string): void {
    try {
      // Not in one of libuv's threads: to hand it over costs more than to do it.
      rmdirSync(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // A script may have put a file in its place.
      if (code === 'ENOTDIR') unlink(path).catch(() => {});
      // EBUSY: something is mounted over it.
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'EBUSY') return;
      this.#full.add(path);
      void this.#emptyAll();
    }
  }

  /** By one process at a time, so that many that end at once cost the machine no more than few. */
  async #emptyAll(): Promise<void> {
    if (this.#isEmptying) return;
    this.#isEmptying = true;
    while (this.#full.size > 0) {
      const paths = [...this.#full].slice(0, BATCH);
      // What fails is left to the next sweep.
      await this.#empty(paths).catch(() => {});
      for (const path of paths) this.#full.delete(path);
    }
    this.#isEmptying = false;
  }

  async #empty(all: string[]): Promise<void> {
    const paths = this.#withoutMounts(all);
    if (paths.length === 0) return;
    const { spawner, bash, env, emptyMs } = this.#options;
    const child = await spawner.spawn(bash, ['-c', `{ ${EMPTY}\n} 2>/dev/null`, bash, ...paths], { cwd: '/', env });
    child.stdout.destroy();
    child.stderr.destroy();
    child.side.close();
    const timer = setTimeout(() => signal(-child.pid, 'SIGKILL'), emptyMs);
    await child.exited;
    clearTimeout(timer);
    child.reap();
    await Promise.all(paths.map((path) => rmdir(path).catch(() => {})));
  }

  /** Those of them in which nothing is mounted; find(1) would enter what is of the same file system. @throws when that can't be seen. */
  #withoutMounts(paths: string[]): string[] {
    const mounts = mountPoints();
    return paths.filter((path) => {
      const real = join(realpathSync(dirname(path)), basename(path));
      const mount = mounts.find((point) => point === real || point.startsWith(`${real}/`));
      if (mount === undefined) {
        this.#mounted.delete(path);
        return true;
      }
      const why = `the working folder of a command stays until ${mount}, which it has mounted, is unmounted`;
      if (!this.#mounted.has(path)) this.#options.warn?.(why);
      this.#mounted.add(path);
      return false;
    });
  }

  /** Removes what was left: by commands that kept something in the background, and by owners that are gone. */
  async #sweep(): Promise<void> {
    try {
      this.#inherit();
      const left = await this.#left();
      const table = left.length === 0 ? null : await lookAtProcesses();
      for (const path of left) if (table?.membersOf({ mark: markOf(basename(path)) }).length === 0) this.#remove(path);
      this.#dropEmpty();
    } catch {
      // Out of descriptors or memory, or a script has removed the folder above; the next look finds what is left.
    }
  }

  /** Takes over the folders of owners that are gone. */
  #inherit(): void {
    const { root, flock } = this.#options;
    if (flock === undefined) return;
    for (const name of readdirSync(root)) {
      const path = join(root, name);
      if (!OWNER.test(name) || path === this.#own.path || this.#inherited.has(path)) continue;
      try {
        const fd = openFolder(path);
        if (tryLock(fd, flock)) this.#inherited.set(path, { path, fd });
        else closeSync(fd);
      } catch {
        // Another owner has just removed it, or it is none.
      }
    }
  }

  /** Those of commands that have ended. */
  async #left(): Promise<string[]> {
    const owners = [this.#own.path, ...this.#inherited.keys()];
    const paths = owners.map(async (owner) => {
      const names = await readdir(owner).catch(() => []);
      return names.filter((name) => UUID.test(name) && !this.#inUse.has(name)).map((name) => join(owner, name));
    });
    return (await Promise.all(paths)).flat();
  }

  /** Removes inherited folders that have nothing in them any more, and their locks. */
  #dropEmpty(): void {
    for (const { path, fd } of this.#inherited.values()) {
      try {
        rmdirSync(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') continue;
      }
      this.#inherited.delete(path);
      closeSync(fd);
    }
  }
}

/** A folder, and the descriptor that holds its lock. */
interface LockedFolder {
  path: string;
  fd: number;
}

/** Opens a folder, and nothing that a script may have put in its place: to open a pipe waits for its writer. */
function openFolder(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}
