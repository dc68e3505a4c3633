/**
 * Process trees: all that descends from the bash of a command, however it has detached itself, and how to end it.
 *
 * In layers, each of which catches what the one before it misses; which of them this machine has is told once, at start:
 * - `process group`: one signal reaches all that has not left the group of bash. Always there.
 * - `process table`: looks at /proc find what has left it, by the mark that it inherited (`mark.ts`). Always there.
 * - `subreaper`: orphans become our children (`orphans.ts`), so that not even one that forks itself away again and again
 *   is missed.
 * - `cgroup`: the kernel itself keeps account (`cgroups.ts`). Where it is there nobody has to look at /proc to kill.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Cgroup, Cgroups } from './cgroups.ts';
import { markOf } from './mark.ts';
import { adoptOrphans, type Orphans } from './orphans.ts';
import { growingPauses } from './pauses.ts';
import { lookAtProcesses, type ProcessTable, type TreeId } from './process-table.ts';
import { signal } from './signal.ts';

export type Layer = 'process group' | 'process table' | 'subreaper' | 'cgroup';

/** Pause after a look that failed, in ms. */
const FAILED_LOOK_MS = 200;
/**
 * /proc is not read in one instant: a look can miss a process that forks, while its parent ends, to a number that the
 * look has already passed. One during which nothing at all was forked on the machine is conclusive; of others, many in
 * a row must find nothing.
 */
const EMPTY_LOOKS = 8;

export interface ProcessTreesOptions {
  /** Absolute path of bash. */
  bash: string;
  /** Whether control groups are used where they can be. */
  cgroups: boolean;
  /** Whether bash enters its control group by itself; else it is put there, before it begins. */
  entersItself: boolean;
  /** Tells the children that somebody else in this process started and will reap. */
  isOwnChild: (pid: number) => boolean;
}

/** Opens the tree of each command, by the layers that this machine has. */
export class ProcessTrees {
  readonly layers: readonly Layer[];
  /** The controllers that the control group of a command can have. */
  readonly controllers: readonly string[];
  readonly #orphans: Orphans | null;
  readonly #cgroups: Cgroups | null;
  readonly #entersItself: boolean;

  private constructor(orphans: Orphans | null, cgroups: Cgroups | null, entersItself: boolean) {
    this.#entersItself = entersItself;
    this.#orphans = orphans;
    this.#cgroups = cgroups;
    this.controllers = cgroups?.controllers ?? [];
    this.layers = [
      'process group',
      'process table',
      ...(orphans === null ? [] : ['subreaper' as const]),
      ...(cgroups === null ? [] : ['cgroup' as const]),
    ];
  }

  static async create(options: ProcessTreesOptions): Promise<ProcessTrees> {
    const found = options.cgroups ? Cgroups.find() : null;
    const cgroups = (await found?.prepare(options.bash)) ? found : null;
    await cgroups?.killAbandoned();
    return new ProcessTrees(await adoptOrphans(options.isOwnChild), cgroups, options.entersItself);
  }

  /**
   * Makes ready for the tree of a command.
   * @param mayStay whether its processes may outlive it.
   * @param limits of its control group: what is written to which of its files.
   * @throws when its control group can't be made.
   */
  async open(uuid: string, mayStay: boolean, limits: Record<string, string> = {}): Promise<ProcessTree> {
    const apart = mayStay || Object.keys(limits).length > 0;
    const cgroup = (await this.#cgroups?.open(uuid, apart)) ?? null;
    const tree = new ProcessTree(uuid, this.#orphans, this.#cgroups, cgroup, this.#entersItself);
    try {
      cgroup?.limit(limits);
      return tree;
    } catch (error) {
      tree.close();
      throw error;
    }
  }
}

/** The tree of one command. */
export class ProcessTree {
  /** What bash must have in its environment, so that it enters the tree before anything else: see `prologue.bash`. */
  readonly environment: Record<string, string>;
  /** What has to be done with bash before it begins; undefined: nothing. */
  readonly admit: ((pid: number) => Promise<void>) | undefined;
  readonly #id: TreeId;
  readonly #orphans: Orphans | null;
  readonly #cgroups: Cgroups | null;
  /** Null once it is closed: another command's may be where it was. */
  #cgroup: Cgroup | null;

  constructor(
    uuid: string,
    orphans: Orphans | null,
    cgroups: Cgroups | null,
    cgroup: Cgroup | null,
    entersItself: boolean,
  ) {
    this.#id = { mark: markOf(uuid) };
    this.#orphans = orphans;
    orphans?.expect(this.#id.mark);
    this.#cgroups = cgroups;
    this.#cgroup = cgroup;
    this.environment = {
      SHELLVISOR_MARK: this.#id.mark,
      ...(cgroup !== null && entersItself && { SHELLVISOR_CGROUP: cgroup.path }),
    };
    this.admit = cgroup === null || entersItself ? undefined : (pid) => cgroup.admit(pid);
  }

  /** Names the bash that leads it, for as long as we have not reaped it. */
  set leader(pid: number | undefined) {
    this.#id.leader = pid;
  }

  /** SIGTERM to all of it: at once to the process group, a moment later to what has left that. */
  terminate(): void {
    this.#signalGroup('SIGTERM');
    lookAtProcesses().then(
      (table) => {
        const { leader } = this.#id;
        // bash may have been reaped meanwhile: then all is over.
        if (leader === undefined) return;
        for (const { pid, group } of table.membersOf(this.#id)) if (group !== leader) signal(pid, 'SIGTERM');
      },
      // Out of descriptors or memory: who does not hear of the end is killed after the grace.
      () => {},
    );
  }

  /** SIGKILL to what can be reached in one step. */
  kill(): void {
    this.#cgroup?.kill();
    this.#signalGroup('SIGKILL');
  }

  /** Whether nothing of it lives besides the zombie of bash; false where that takes a look at /proc. */
  get isEmpty(): boolean {
    if (this.#cgroup === null && this.#orphans === null) return false;
    return (this.#cgroup?.isEmpty ?? true) && !this.#orphans?.has(this.#id.mark);
  }

  /**
   * Waits until nothing of it lives, but for the zombie of bash. While `hard()` is true it also kills what it finds.
   * Call it when bash has ended.
   */
  async untilEmpty(hard: () => boolean): Promise<void> {
    await this.#cgroup?.untilEmpty(hard);
    // Who may write control groups may leave its own as well.
    if (!this.isEmpty) await sweep(this.#id, hard, this.#orphans);
  }

  /** To be called when bash is about to be reaped. */
  close(): void {
    this.#id.leader = undefined;
    this.#orphans?.release(this.#id.mark);
    if (this.#cgroup !== null) this.#cgroups?.close(this.#cgroup);
    this.#cgroup = null;
  }

  #signalGroup(name: NodeJS.Signals): void {
    if (this.#id.leader !== undefined) signal(-this.#id.leader, name);
  }
}

/**
 * Kills what owners that are gone have left running of these commands, and resolves when nothing of it lives.
 * @returns how many processes were killed, about.
 */
export async function killTrees(uuids: readonly string[]): Promise<number> {
  const cgroups = Cgroups.find();
  const abandoned = (await cgroups?.killAbandoned()) ?? 0;
  const killed = await Promise.all(
    uuids.map(async (uuid) => {
      const cgroup = cgroups?.get(uuid);
      const inGroup = cgroup?.pids.length ?? 0;
      await cgroup?.untilEmpty(() => true);
      // Its owner may have had no control groups, or ours are not where it had them.
      return inGroup + (await sweep({ mark: markOf(uuid) }, () => true, null));
    }),
  );
  return killed.reduce((sum, count) => sum + count, abandoned);
}

/** Looks, and kills while `hard()`, until a fixed point is reached. @returns how many processes it killed. */
async function sweep(tree: TreeId, hard: () => boolean, orphans: Orphans | null): Promise<number> {
  const killed = new Set<number>();
  let hunted = 0;
  const pause = growingPauses();
  for (let emptyLooks = 0; emptyLooks < EMPTY_LOOKS; ) {
    let table: ProcessTable;
    try {
      if (hard()) hunted += orphans?.hunt(tree.mark) ?? 0;
      table = await lookAtProcesses();
    } catch {
      // Out of descriptors or memory: not having seen anything says nothing. It passes, or an operator has to help.
      await delay(FAILED_LOOK_MS);
      continue;
    }
    const members = table.membersOf(tree);
    if (members.length === 0 && !orphans?.has(tree.mark)) {
      emptyLooks += table.isConclusive ? EMPTY_LOOKS : 1;
      continue;
    }
    emptyLooks = 0;
    if (hard()) {
      for (const { pid } of members) {
        signal(pid, 'SIGKILL');
        killed.add(pid);
      }
    } else await pause();
  }
  return killed.size + hunted;
}
