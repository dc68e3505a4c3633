/** Nodes that share a database, for one round of a fault: who asks is answered by each in turn. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { tokenFile } from '../test/helpers/access.ts';
import { createDatabase } from '../test/helpers/cluster.ts';
import { breakableNetwork } from '../test/helpers/network.ts';
import { freePort, startServer, type TestServer } from '../test/helpers/server.ts';
import { until } from '../test/helpers/until.ts';
import type { Round } from './fault.ts';
import { CALM_MS, Ground, roundFolder, SENDER, STOPPER } from './ground.ts';

/** What makes a server a node. It counts as lost after the least time that can be set. */
export const AS_NODE = { SHELLVISOR_CLUSTER: 'on', SHELLVISOR_NODE_LOST_MS: '5000' };
/** How long a graceful end of all nodes may take, in ms. */
const END_MS = 30_000;
/** How long what is left of the jobs of stopped commands may stay in the queue, in ms. */
const LEFT_JOBS_MS = 10_000;

/** One of the nodes, and the network between it and the database. */
export interface ChaosNode {
  name: string;
  server: TestServer;
  network: Awaited<ReturnType<typeof breakableNetwork>>;
}

export class Nodes extends Ground {
  readonly #started: ChaosNode[] = [];
  /** Those that are asked. */
  #asked: ChaosNode[] = [];
  readonly #env: Record<string, string>;
  readonly #databaseUrl: string;
  readonly #cleanUps: (() => unknown)[] = [];
  #turn = 0;

  private constructor(round: Round, databaseUrl: string, env: Record<string, string>) {
    super(round, roundFolder(round), databaseUrl);
    this.#databaseUrl = databaseUrl;
    this.#env = env;
  }

  /** Starts so many, which are ended, and what is wrong with their end counted, after the round. */
  static async start(round: Round, count: number, env: Record<string, string> = {}): Promise<Nodes> {
    const databaseUrl = await createDatabase(round.scope, undefined, round.clusterUrl);
    const nodes = new Nodes(round, databaseUrl, {
      ...AS_NODE,
      SHELLVISOR_OUTPUT_LIMIT_BYTES: `${2 ** 30}`,
      SHELLVISOR_TOKEN_FILE: tokenFile(round.scope, [SENDER, STOPPER]),
      ...env,
    });
    round.scope.teardown(() => nodes.#end());
    await Promise.all(Array.from({ length: count }, () => nodes.add()));
    return nodes;
  }

  /** Starts one more. */
  async add(): Promise<ChaosNode> {
    const name = `n${this.#started.length + 1}`;
    const node = { name } as ChaosNode;
    this.#started.push(node);
    // Ended only after `#end` has tried it gracefully.
    const scope = { teardown: (cleanUp: () => unknown) => this.#cleanUps.unshift(cleanUp) };
    node.network = await breakableNetwork(scope, this.#databaseUrl);
    node.server = await startServer(scope, {
      // The same one when it begins anew.
      PORT: `${await freePort()}`,
      DATA_DIR: join(this.folder, name),
      DATABASE_URL: node.network.url,
      SHELLVISOR_NODE_NAME: name,
      ...this.#env,
    });
    this.#asked.push(node);
    return node;
  }

  /** All that are asked. */
  get living(): readonly ChaosNode[] {
    return this.#asked;
  }

  /** Asks a node no more: it is gone. */
  forget(node: ChaosNode): void {
    this.#asked = this.#asked.filter((other) => other !== node);
  }

  /** Asks a node again. */
  remember(node: ChaosNode): void {
    this.#asked.push(node);
  }

  protected override target(): string {
    return (this.#asked[this.#turn++ % this.#asked.length] as ChaosNode).server.url;
  }

  /** Waits until what these nodes had is decided: no command waits or runs under an owner number of theirs. */
  async decided(owners: readonly number[]): Promise<void> {
    const left = `SELECT FROM commands WHERE status IN ('QUEUED', 'EXECUTING') AND owner = ANY($1) LIMIT 1`;
    await until(
      'all that they had is decided',
      async () => (await this.query(left, [owners])).rows.length === 0 || delay(50).then(() => false),
      CALM_MS,
    );
  }

  /** The owner numbers under which nodes of these names are known. */
  async ownersOf(names: readonly string[]): Promise<number[]> {
    const { rows } = await this.query('SELECT owner FROM nodes WHERE name = ANY($1)', [names]);
    return rows.map(({ owner }) => owner);
  }

  /** Counts the jobs that are left when no command waits any more, and nodes that were given up and are none of `gone`. */
  async judge(gone: ReadonlySet<string>): Promise<void> {
    const { tally } = this.round;
    const leftJobs = async () =>
      (await this.query('SELECT count(*)::int AS left FROM shellvisor_queue.job')).rows[0].left;
    const isEmpty = async () => (await leftJobs()) === 0 || delay(50).then(() => false);
    await until('no job is left', isEmpty, LEFT_JOBS_MS).catch(async () => {
      tally.find('wrong outcomes', await leftJobs(), 'the queue', 'no job without a command', 'jobs');
    });
    const { rows } = await this.query('SELECT name FROM nodes WHERE fenced_at IS NOT NULL');
    const wrong = rows.map(({ name }) => name as string).filter((name) => !gone.has(name));
    tally.find('wrong outcomes', wrong.length, 'the nodes', 'only those that are gone are given up', wrong.join(', '));
  }

  async #end(): Promise<void> {
    const { tally } = this.round;
    await this.keepRows();
    const late = delay(END_MS, null, { ref: false });
    const ends = this.#asked.map(async ({ name, server }) => {
      server.child.kill('SIGTERM');
      const exit = await Promise.race([server.exited, late]);
      const how = exit === null ? `it still runs after ${END_MS} ms` : `it ended with ${exit.signal ?? exit.code}`;
      tally.find('server exits', exit?.code === 0 ? 0 : 1, `the shutdown of ${name}`, 'it ends with 0', how);
    });
    await Promise.all(ends);
    for (const cleanUp of this.#cleanUps) await cleanUp();
    await this.leaveDatabase();
    for (const { name, server } of this.#started) {
      if (server !== undefined) writeFileSync(join(this.folder, `${name}.log`), server.stderr());
    }
  }
}
