/** A PostgreSQL of a round's own, and what can be done to its processes. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbedded } from '../src/persistence/embedded.ts';
import { isAlive } from '../test/helpers/processes.ts';
import { until } from '../test/helpers/until.ts';
import type { Round } from './fault.ts';

/** How long PostgreSQL may take to start again: it first replays what it had not written to its tables, in ms. */
const START_MS = 60_000;

/** The processes of a PostgreSQL by its data folder, whoever has started it. */
export class PostgresProcesses {
  readonly #dataDir: string;

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
  }

  /** The postmaster. @throws when there is none for long. */
  postmaster(): Promise<number> {
    return until('PostgreSQL runs', () => {
      try {
        const pid = Number(readFileSync(join(this.#dataDir, 'postmaster.pid'), 'latin1').split('\n')[0]);
        return isAlive(pid) ? pid : null;
      } catch {
        return null;
      }
    });
  }

  /** Kills the postmaster, whose children then end by themselves, or all of them at once. */
  async kill(which: 'postmaster' | 'all'): Promise<void> {
    const pids = await this.#family();
    for (const pid of which === 'all' ? pids : pids.slice(0, 1)) send(pid, 'SIGKILL');
    await until('PostgreSQL is gone', () => pids.every((pid) => !isAlive(pid)));
  }

  /** Stops all of them. @returns what lets them go on. */
  async pause(): Promise<() => void> {
    const pids = await this.#family();
    // The postmaster comes first, so that no child is added meanwhile.
    for (const pid of pids) send(pid, 'SIGSTOP');
    return () => {
      for (const pid of pids) send(pid, 'SIGCONT');
    };
  }

  async #family(): Promise<number[]> {
    const postmaster = await this.postmaster();
    const children = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'latin1').trim();
    return [postmaster, ...children.split(' ').filter(Boolean).map(Number)];
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // A connection that has just ended.
  }
}

/** A cluster that a round may break. */
export interface OwnPostgres {
  url: string;
  processes: PostgresProcesses;
  /** Starts it again after a kill. */
  restart(): Promise<void>;
}

/** Starts one; it is removed after the round. */
export async function startPostgres({ scope }: Round): Promise<OwnPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'shellvisor-chaos-postgres-'));
  scope.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const dataDir = join(folder, 'postgres');
  // A kill does not lose what the system has taken over, so only a power cut would need fsync.
  const cluster = await startEmbedded({ dataDir, settings: ['fsync=off'] });
  scope.teardown(() => cluster.stop());
  return {
    url: cluster.url,
    processes: new PostgresProcesses(dataDir),
    async restart() {
      // What the last one has left in shared memory may keep the first attempts from succeeding.
      await until(
        'PostgreSQL starts again',
        () =>
          cluster.start().then(
            () => true,
            () => false,
          ),
        START_MS,
      );
    },
  };
}
