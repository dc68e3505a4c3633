/** A PostgreSQL of a test's own, to be killed, stopped and started. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { startEmbedded } from '../../src/persistence/embedded.ts';
import { administer, databaseUrl } from './cluster.ts';
import { parentOf } from './processes.ts';
import { temporaryFolder } from './server.ts';
import { until } from './until.ts';

export interface PrivateCluster {
  /** Of its maintenance database, over its Unix socket. */
  url: string;
  /** The postmaster, then all its children. */
  processes(): number[];
  /** Ends all of it with SIGKILL, and waits until nothing of it is left. */
  kill(): Promise<void>;
  /** Stops all of it with SIGSTOP: connections stay, and nobody answers. */
  freeze(): void;
  /** Lets it go on. */
  thaw(): void;
  /** Starts it again after a kill. */
  start(): Promise<void>;
  /** Makes an empty database; the cluster is brought back to life first. @returns its URL. */
  createDatabase(): Promise<string>;
}

let databases = 0;

/** Starts a cluster in a folder, which is made; it is ended with the test. */
export async function startPrivateCluster(t: Test, folder = temporaryFolder(t)): Promise<PrivateCluster> {
  const dataDir = join(folder, 'postgres');
  const embedded = await startEmbedded({ dataDir, settings: ['fsync=off'] });
  const postmaster = () => Number(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[0]);
  const processes = () => {
    const parent = postmaster();
    const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(Number(name)) === parent);
    return [parent, ...children.map(Number)];
  };
  const signal = (pids: number[], name: NodeJS.Signals) => {
    for (const pid of pids) {
      try {
        process.kill(pid, name);
      } catch {
        // It has ended meanwhile.
      }
    }
  };
  const cluster: PrivateCluster = {
    url: embedded.url,
    processes,
    async kill() {
      const pids = processes();
      signal(pids, 'SIGKILL');
      await until('PostgreSQL is gone', () => pids.every((pid) => !existsSync(`/proc/${pid}`)));
    },
    freeze() {
      // The postmaster first, so that it makes no more children; then those that it has made meanwhile.
      signal([postmaster()], 'SIGSTOP');
      signal(processes(), 'SIGSTOP');
    },
    thaw: () => signal(processes().reverse(), 'SIGCONT'),
    async start() {
      await until('PostgreSQL can be started again', () =>
        embedded.start().then(
          () => true,
          () => false,
        ),
      );
    },
    async createDatabase() {
      cluster.thaw();
      await cluster.start();
      const name = `faults_${++databases}`;
      await until('PostgreSQL takes connections', () =>
        administer(cluster.url, `DROP DATABASE IF EXISTS ${name}`, `CREATE DATABASE ${name}`).then(
          () => true,
          () => false,
        ),
      );
      return databaseUrl(cluster.url, name);
    },
  };
  t.teardown(async () => {
    if (!existsSync(join(dataDir, 'postmaster.pid'))) return;
    signal(processes().reverse(), 'SIGCONT');
    await embedded.stop().catch(() => {});
  });
  return cluster;
}
