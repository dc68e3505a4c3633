/**
 * The queue of all nodes: pg-boss, with a job for each command that no node has taken. A job is put there by the
 * transaction that stores its command, and is gone with the one that takes it; so no command waits without one. A job
 * without a command that waits, of one that was withdrawn just then, is passed over: what a node has taken is told by the
 * owner of the command alone.
 */
import { DatabaseError, Pool } from 'pg';
import { type Db, PgBoss } from 'pg-boss';
import { sql } from 'slonik';
import { z } from 'zod';
import type { NewCommand } from '../../command.ts';
import { StartupError } from '../../errors.ts';
import { namedUrl } from '../fence.ts';
import { CONNECT_MS } from '../pool.ts';
import type { Connection } from '../sql/connection.ts';

/** pg-boss deletes what has waited for longer, in seconds: ours is never to be lost. It takes 2^31 - 1 at most. */
const KEPT_S = 2_000_000_000;
/** Apart from the tables of other programs on the database that use pg-boss. */
const SCHEMA = 'shellvisor_queue';
/** How often a node says that it lives, in seconds. */
const HEARTBEAT_S = 1;
/** How long a statement of pg-boss may take on our side at the start, in ms; a new version may change its tables. */
const START_MS = 60_000;
/** The same later: a heartbeat that waits for a connection which a network has cut must not keep the next ones. */
const STATEMENT_MS = 5000;
/** How many rows of its registry are looked at. Those of nodes that are gone are deleted by pg-boss. */
const INSTANCES = 10_000;

/** The queue of the commands that want a node of this kind, or any node. */
const queueOf = (label: string | undefined) => (label === undefined ? 'commands' : `commands/${label}`);

/** Calls back for each notification of a channel, and when some may have been missed. */
export type Listen = NonNullable<Db['listen']>;

export interface JobQueueOptions {
  databaseUrl: string;
  owner: number;
  /** The kinds of this node. */
  labels: readonly string[];
  listen: Listen;
  /** Called when there may be something to take. */
  onJobs: () => void;
  /** Told of what goes wrong beside our requests, in its upkeep: it tries again by itself. */
  onError: (error: Error) => void;
}

/** A command that any node may take, or one with its label. */
export interface Job {
  uuid: string;
  label: string | undefined;
}

export const jobOf = ({ uuid, options }: Pick<NewCommand, 'uuid' | 'options'>): Job => ({
  uuid,
  label: options.nodeLabel,
});

const anyRow = z.looseObject({});

export class JobQueue {
  readonly #boss: PgBoss;
  readonly #pool: Pool;
  readonly #queues = new Map<string, Promise<void>>();

  private constructor(boss: PgBoss, pool: Pool) {
    this.#boss = boss;
    this.#pool = pool;
  }

  /** Brings the tables of pg-boss up to date, and begins to say that this node lives. @throws when the database can't be reached. */
  static async open(options: JobQueueOptions): Promise<JobQueue> {
    const { databaseUrl, owner, labels, listen, onJobs, onError } = options;
    const pool = new Pool({
      connectionString: namedUrl(databaseUrl, `shellvisor jobs ${owner}`),
      max: 2,
      connectionTimeoutMillis: CONNECT_MS,
      keepAlive: true,
    });
    pool.on('error', () => {});
    let query_timeout = START_MS;
    const db: Db = {
      executeSql(text, values) {
        // The types of pg know the timeout of a client alone.
        const query = { text, query_timeout, ...(values !== undefined && { values }) };
        return pool.query(query);
      },
      listen: (channel, onNotification, onReconnect) =>
        listen(
          channel,
          (payload) => {
            onNotification(payload);
            onJobs();
          },
          () => {
            onReconnect();
            onJobs();
          },
        ),
    };
    let boss: PgBoss | undefined;
    try {
      boss = new PgBoss({
        db,
        schema: SCHEMA,
        createSchema: !(await hasSchema(pool)),
        instanceName: `${owner}`,
        instanceHeartbeatSeconds: HEARTBEAT_S,
        useListenNotify: true,
        schedule: false,
      });
      boss.on('error', onError);
      const jobs = new JobQueue(boss, pool);
      await boss.start();
      query_timeout = STATEMENT_MS;
      await Promise.all([undefined, ...labels].map((label) => jobs.#open(label)));
      return jobs;
    } catch (error) {
      await boss?.stop({ graceful: false }).catch(() => {});
      await pool.end();
      throw isForbidden(error) ? new StartupError(FORBIDDEN, { cause: error }) : error;
    }
  }

  /** Puts commands into the queue, by the transaction that stores them. One that is there already stays once. */
  async add(db: Connection, jobs: readonly Job[]): Promise<void> {
    for (const [label, some] of Map.groupBy(jobs, (job) => job.label)) {
      await this.#open(label);
      const ids = some.map(({ uuid: id }) => ({ id }));
      await this.#boss.insert(queueOf(label), ids, { db: within(db) });
    }
  }

  /** Takes at most `limit` commands out of the queue, oldest first. @returns their uuids. */
  async take(db: Connection, label: string | undefined, limit: number): Promise<string[]> {
    const jobs = await this.#boss.fetch(queueOf(label), { batchSize: limit, db: within(db) });
    const uuids = jobs.map(({ id }) => id);
    if (uuids.length > 0) await this.#boss.deleteJob(queueOf(label), uuids, { db: within(db) });
    return uuids;
  }

  /** Takes a command out of the queue that no node shall run. */
  async remove(db: Connection, { uuid, label }: Job): Promise<void> {
    await this.#open(label);
    await this.#boss.deleteJob(queueOf(label), uuid, { db: within(db) });
  }

  /** When the nodes have last said that they live, by their owners, in ms since the epoch by the clock of the database. */
  async heartbeats(): Promise<Map<number, number>> {
    const beats = new Map<number, number>();
    for (const { name, heartbeatOn } of await this.#boss.getInstances({ limit: INSTANCES })) {
      const owner = Number(name);
      beats.set(owner, Math.max(beats.get(owner) ?? 0, +heartbeatOn));
    }
    return beats;
  }

  async close(): Promise<void> {
    await this.#boss.stop({ graceful: false }).catch(() => {});
    await this.#pool.end();
  }

  /** Makes the queue of a kind of node, once. */
  #open(label: string | undefined): Promise<void> {
    const name = queueOf(label);
    const opening =
      this.#queues.get(name) ??
      this.#boss.createQueue(name, { notify: true, retentionSeconds: KEPT_S }).catch((error) => {
        this.#queues.delete(name);
        throw error;
      });
    this.#queues.set(name, opening);
    return opening;
  }
}

const FORBIDDEN =
  `SHELLVISOR_CLUSTER=on keeps its queue in the schema ${SCHEMA}, which the user of DATABASE_URL may not make or change; ` +
  `CREATE SCHEMA ${SCHEMA} AUTHORIZATION that user`;

/** SQLSTATE 42501: insufficient_privilege. */
const isForbidden = (error: unknown) => error instanceof DatabaseError && error.code === '42501';

async function hasSchema(pool: Pool): Promise<boolean> {
  const { rows } = await pool.query('SELECT FROM pg_namespace WHERE nspname = $1', [SCHEMA]);
  return rows.length > 0;
}

/** A transaction of ours as pg-boss wants it. */
function within(db: Connection): Db {
  return {
    async executeSql(text, values = []) {
      // Its statements come as text; slonik makes those of literals only.
      const query = { ...sql.type(anyRow)``, sql: text, values: values as [] };
      return { rows: [...(await db.any(query))] };
    },
  };
}
