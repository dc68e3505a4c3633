/**
 * A control group of its own for each command, where cgroup v2 is there and ours to write: the kernel knows every process
 * of the tree, whatever it forks or detaches, and kills all of them in one step (cgroup.kill, cgroups(7), Linux 5.14).
 */
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { mkdir, rmdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { readProcFile } from './mark.ts';
import { unescapeOctal } from './mounts.ts';
import { growingPauses } from './pauses.ts';

/** What can limit a command: cgroups(7). */
const CONTROLLERS = ['memory', 'pids'];

/**
 * The groups of the commands of one process.
 *
 *   shellvisor/
 *     PID-START-NAMESPACE/UUID   of one owner of scripts, named so that others can tell whether it still lives
 *     own/UUID                   of a command whose processes may outlive it, or that has limits
 */
export class Cgroups {
  readonly #root: string;
  readonly #ours: string;
  /** The controllers that the group of its own of a command can have; known once `prepare` was called. */
  controllers: readonly string[] = [];
  /** Groups that still had processes when their command ended. */
  readonly #busy: Cgroup[] = [];

  private constructor(root: string) {
    this.#root = root;
    this.#ours = join(root, nameOfOwner('self'));
  }

  /** Finds the place for our groups; null where cgroup v2 is not there or not ours to write. */
  static find(): Cgroups | null {
    try {
      const mount = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/self/mounts', 'utf8'))?.[1];
      const own = /^0::(\/.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
      // A path with `..` lies outside of our cgroup namespace.
      if (mount === undefined || own === undefined || own.includes('/..')) return null;
      const root = join(unescapeOctal(mount), own, 'shellvisor');
      mkdirSync(root, { recursive: true });
      accessSync(join(root, 'cgroup.kill'), constants.W_OK);
      return new Cgroups(root);
    } catch {
      return null;
    }
  }

  /** Makes them ready for commands. @returns whether a process can really enter one: that takes rights which show only then. */
  async prepare(bash: string): Promise<boolean> {
    try {
      mkdirSync(this.#ours, { recursive: true });
      mkdirSync(join(this.#root, 'own'), { recursive: true });
      this.controllers = this.#handDown();
      process.on('exit', () => remove(this.#ours));
      const group = await this.open(randomUUID(), false);
      const { status } = spawnSync(bash, ['-c', 'echo 0 > "$1/cgroup.procs"', bash, group.path], { stdio: 'ignore' });
      this.close(group);
      return status === 0;
    } catch {
      return false;
    }
  }

  /**
   * Hands the controllers that can limit down to the groups of commands. The kernel refuses that where the group that
   * we are in ourselves would have to, unless it is the topmost: a group may have processes or controlled groups.
   */
  #handDown(): string[] {
    const own = join(this.#root, 'own');
    return CONTROLLERS.filter((name) => {
      try {
        for (const path of [dirname(this.#root), this.#root, own]) {
          writeFileSync(join(path, 'cgroup.subtree_control'), `+${name}`);
        }
        return true;
      } catch {
        return false;
      }
    });
  }

  /**
   * Makes the group of a command. None is used twice: a script may have changed it, by freezing it for example.
   * @param apart whether it stays when we are gone, and can have limits; `get` finds it.
   * @throws when the kernel has no room for it.
   */
  async open(uuid: string, apart: boolean): Promise<Cgroup> {
    const path = apart ? join(this.#root, 'own', uuid) : join(this.#ours, uuid);
    // Not in our own thread: the kernel lets this wait for a process that is just entering another group.
    await mkdir(path, { recursive: true });
    return new Cgroup(path);
  }

  /** The group of a command that is apart, if there is one. */
  get(uuid: string): Cgroup | null {
    const group = new Cgroup(join(this.#root, 'own', uuid));
    return group.exists ? group : null;
  }

  /** Removes a group; one that still has processes, which may be so by wish, is tried again later. */
  close(group: Cgroup): void {
    for (const each of [group, ...this.#busy.splice(0, 1)]) {
      rmdir(each.path).catch(() => {
        if (!remove(each.path)) this.#busy.push(each);
      });
    }
  }

  /** Kills what owners that are gone have left running, and removes their groups. @returns how many processes that were. */
  async killAbandoned(): Promise<number> {
    let killed = 0;
    for (const path of foldersIn(this.#root)) {
      const [pid = '', , namespace] = basename(path).split('-');
      if (namespace !== processNamespace() || nameOfOwner(pid) === basename(path)) continue;
      killed += foldersIn(path).reduce((sum, below) => sum + new Cgroup(below).pids.length, 0);
      await new Cgroup(path).untilEmpty(() => true);
      remove(path);
    }
    for (const path of foldersIn(join(this.#root, 'own'))) if (new Cgroup(path).isEmpty && isStale(path)) remove(path);
    return killed;
  }
}

/** Names a living process like no other on this machine: by pid, start time (proc_pid_stat(5)) and pid namespace. */
function nameOfOwner(pid: string): string {
  const stat = readProcFile(`/proc/${pid}/stat`) ?? '';
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X'
    ? ''
    : `${Number.parseInt(stat, 10)}-${fields[19]}-${processNamespace()}`;
}

function processNamespace(): string | undefined {
  return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0];
}

/** A group that nobody has entered after this long was left behind, in ms. */
const STALE_MS = 60_000;

function isStale(path: string): boolean {
  try {
    return Date.now() - statSync(path).mtimeMs > STALE_MS;
  } catch {
    return false;
  }
}

/** The control group of one command. */
export class Cgroup {
  /** The folder of the group; a process enters by writing 0 to `cgroup.procs` in it. */
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  get exists(): boolean {
    return existsSync(this.path);
  }

  /** Whether nothing lives in it or in the groups below it; zombies don't count. */
  get isEmpty(): boolean {
    try {
      return !/^populated 1$/m.test(this.#read('cgroup.events') ?? '');
    } catch {
      // Out of descriptors or memory: not having seen anything says nothing.
      return false;
    }
  }

  /** Puts a process into it that has just been started. */
  admit(pid: number): Promise<void> {
    // Not in our own thread, as when it is made.
    return writeFile(join(this.path, 'cgroup.procs'), `${pid}`);
  }

  /** Writes to its files, such as `pids.max`. */
  limit(limits: Record<string, string>): void {
    for (const [file, value] of Object.entries(limits)) writeFileSync(join(this.path, file), value);
  }

  /** The ids of its processes, without those in groups below it. */
  get pids(): number[] {
    return (this.#read('cgroup.procs') ?? '').split('\n').filter(Boolean).map(Number);
  }

  /** Waits until nothing lives in it; while `hard()` is true it also kills. */
  async untilEmpty(hard: () => boolean): Promise<void> {
    for (const pause = growingPauses(); !this.isEmpty; await pause()) if (hard()) this.kill();
  }

  /** Kills all that is in it, and below it, in one step. */
  kill(): void {
    try {
      writeFileSync(join(this.path, 'cgroup.kill'), '1');
    } catch {
      // It is gone, or we are out of descriptors: then it does not count as empty, and is killed at the next look.
    }
  }

  /** null when the group is gone. */
  #read(file: string): string | null {
    try {
      return readFileSync(join(this.path, file), 'utf8');
    } catch (error) {
      // ENODEV: it went while we read.
      if (/^(ENOENT|ENODEV)$/.test((error as NodeJS.ErrnoException).code ?? '')) return null;
      throw error;
    }
  }
}

/** Removes a group and those that the script has made in it. @returns false when one of them still has processes. */
function remove(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
    const below = foldersIn(path);
    return below.length > 0 && below.every(remove) && remove(path);
  }
}

function foldersIn(path: string): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => join(path, entry.name));
  } catch {
    return [];
  }
}
