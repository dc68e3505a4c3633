/**
 * A control group of its own for each command, where cgroup v2 is there and ours to write: the kernel knows every process
 * of the tree, whatever it forks or detaches, and kills all of them in one step (cgroup.kill, cgroups(7), Linux 5.14).
 */
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  accessSync,
  constants,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** A group that nobody has entered after this long was left behind by a launcher that is gone, in ms. */
const STALE_MS = 60_000;

/** The groups of all commands that were started from our own group: each is a folder named by the command's uuid. */
export class Cgroups {
  readonly #folder: string;
  /** Groups that still had processes when their command ended. */
  readonly #kept: string[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Finds the place for our groups; null where cgroup v2 is not there or not ours to write. */
  static find(): Cgroups | null {
    try {
      const mount = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/self/mounts', 'utf8'))?.[1];
      const own = /^0::(\/.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
      // A path with `..` lies outside of our cgroup namespace.
      if (mount === undefined || own === undefined || own.includes('/..')) return null;
      const folder = join(unescapeOctal(mount), own, 'shellvisor');
      mkdirSync(folder, { recursive: true });
      accessSync(join(folder, 'cgroup.kill'), constants.W_OK);
      return new Cgroups(folder);
    } catch {
      return null;
    }
  }

  /** Tries whether a process can really enter a group: that takes rights which show only then. */
  isUsable(bash: string): boolean {
    try {
      const group = this.open(randomUUID());
      const { status } = spawnSync(bash, ['-c', 'echo 0 > "$1/cgroup.procs"', bash, group.path], { stdio: 'ignore' });
      this.close(group);
      return status === 0;
    } catch {
      return false;
    }
  }

  /** Makes the group of a command; one that is there already is opened. @throws when the kernel has no room for it. */
  open(uuid: string): Cgroup {
    const path = join(this.#folder, uuid);
    mkdirSync(path, { recursive: true });
    return new Cgroup(path);
  }

  /** The group of a command, if it is there. */
  get(uuid: string): Cgroup | null {
    const group = new Cgroup(join(this.#folder, uuid));
    return group.exists ? group : null;
  }

  /** Removes a group; one that still has processes, which may be so by wish, is tried again later. */
  close(group: Cgroup): void {
    for (const path of [group.path, ...this.#kept.splice(0, 1)]) if (!remove(path)) this.#kept.push(path);
  }

  /** Removes the empty groups that launchers before this one left behind. */
  removeStale(): void {
    for (const path of foldersIn(this.#folder)) {
      try {
        if (Date.now() - statSync(path).mtimeMs > STALE_MS) remove(path);
      } catch {
        // Another launcher was faster.
      }
    }
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
    return this.#read('cgroup.events') !== null;
  }

  /** Whether nothing lives in it or in the groups below it; zombies don't count. */
  get isEmpty(): boolean {
    return !/^populated 1$/m.test(this.#read('cgroup.events') ?? '');
  }

  /** The ids of its processes, without those in groups below it. */
  get pids(): number[] {
    return (this.#read('cgroup.procs') ?? '').split('\n').filter(Boolean).map(Number);
  }

  /** Kills all that is in it, and below it, in one step. */
  kill(): void {
    try {
      writeFileSync(join(this.path, 'cgroup.kill'), '1');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
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

/** Blanks and the like in /proc/self/mounts: proc_pid_mounts(5), getmntent(3). */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
