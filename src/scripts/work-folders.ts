/**
 * The working folders of commands: one each, for its user alone, gone when nothing of the command lives any more.
 *
 *   made ── the tree is dead ──▶ removed, now
 *     └─ something may live on, or its owner crashed ──▶ swept, when no process carries the mark of the command
 *
 * Invariants:
 * - A link in it is removed, never followed.
 * - One with something mounted in it stays as it is until that is unmounted: what lies there is somebody else's.
 * - None waits for ever for another: whoever can stop the process that empties them, as scripts of its user can, stops it for a while.
 * - The event loop does not wait for it, nor does the end of the command.
 */
import { chownSync, mkdirSync, realpathSync, rmdirSync } from 'node:fs';
import { readdir, rmdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolders } from '../folders.ts';
import { markOf } from '../os/mark.ts';
import { mountPoints } from '../os/mounts.ts';
import { lookAtProcesses } from '../os/process-table.ts';
import { signal } from '../os/signal.ts';
import type { Spawner } from '../os/spawn.ts';
import type { ScriptAccount } from '../ports.ts';
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
  /** How often left folders are looked for, and how long one has not changed that counts as left, in ms. */
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

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export class WorkFolders {
  readonly #options: WorkFoldersOptions & { sweepMs: number; emptyMs: number };
  /** Those of commands that run. */
  readonly #inUse = new Set<string>();
  /** Those that are to be emptied, by uuid. */
  readonly #full = new Set<string>();
  /** Those that stay for what is mounted in them, as was told. */
  readonly #mounted = new Set<string>();
  #isEmptying = false;

  constructor(options: WorkFoldersOptions) {
    this.#options = { sweepMs: SWEEP_MS, emptyMs: EMPTY_MS, ...options };
    void this.#sweep();
    setInterval(() => void this.#sweep(), this.#options.sweepMs).unref();
  }

  /** Makes that of a command. @returns its path. @throws the error of mkdir(2). */
  make(uuid: string): string {
    const path = this.#pathOf(uuid);
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch {
      // A script may have removed the folder above; the next one shall not suffer for it.
      makeFolders(this.#options.root, folderModeFor(this.#options.account));
      mkdirSync(path, { mode: 0o700 });
    }
    this.#inUse.add(uuid);
    const { account } = this.#options;
    if (account !== undefined) chownSync(path, account.uid, account.gid);
    return path;
  }

  /**
   * Its command has ended.
   * @param isOver whether nothing of it lives for sure; else its folder stays as long as something does.
   */
  release(uuid: string, isOver: boolean): void {
    if (this.#inUse.delete(uuid) && isOver) this.#remove(uuid);
  }

  /** Removes it, at once where it is empty, as most are. */
  #remove(uuid: string): void {
    const path = this.#pathOf(uuid);
    try {
      // Not in one of libuv's threads: to hand it over costs more than to do it.
      rmdirSync(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // A script may have put a file in its place.
      if (code === 'ENOTDIR') unlink(path).catch(() => {});
      // EBUSY: something is mounted over it.
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'EBUSY') return;
      this.#full.add(uuid);
      void this.#emptyAll();
    }
  }

  /** By one process at a time, so that many that end at once cost the machine no more than few. */
  async #emptyAll(): Promise<void> {
    if (this.#isEmptying) return;
    this.#isEmptying = true;
    while (this.#full.size > 0) {
      const uuids = [...this.#full].slice(0, BATCH);
      // What fails is left to the next sweep.
      await this.#empty(uuids).catch(() => {});
      for (const uuid of uuids) this.#full.delete(uuid);
    }
    this.#isEmptying = false;
  }

  async #empty(uuids: string[]): Promise<void> {
    const paths = this.#withoutMounts(uuids).map((uuid) => this.#pathOf(uuid));
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
  #withoutMounts(uuids: string[]): string[] {
    const root = realpathSync(this.#options.root);
    const mounts = mountPoints();
    return uuids.filter((uuid) => {
      const path = join(root, uuid);
      const mount = mounts.find((point) => point === path || point.startsWith(`${path}/`));
      if (mount === undefined) return this.#mounted.delete(uuid) || true;
      if (!this.#mounted.has(uuid)) {
        this.#options.warn?.(
          `the working folder of a command stays until ${mount}, which it has mounted, is unmounted`,
        );
      }
      this.#mounted.add(uuid);
      return false;
    });
  }

  /** Removes what was left: by commands that kept something in the background, and by owners that have crashed. */
  async #sweep(): Promise<void> {
    try {
      const left = await this.#left();
      if (left.length === 0) return;
      const table = await lookAtProcesses();
      for (const uuid of left) if (table.membersOf({ mark: markOf(uuid) }).length === 0) this.#remove(uuid);
    } catch {
      // Out of descriptors or memory, or a script has removed the folder above; the next look finds what is left.
    }
  }

  async #left(): Promise<string[]> {
    const names = (await readdir(this.#options.root)).filter((name) => UUID.test(name) && !this.#inUse.has(name));
    const stats = await Promise.all(names.map((name) => stat(this.#pathOf(name)).catch(() => null)));
    // A younger one may be that of a command that another owner is just starting.
    const latest = Date.now() - this.#options.sweepMs;
    return names.filter((_, i) => (stats[i]?.ctimeMs ?? latest) < latest);
  }

  #pathOf(uuid: string): string {
    return join(this.#options.root, uuid);
  }
}
