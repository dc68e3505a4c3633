/** The database as the rest of the server sees it: where it is, and all that works with it once it is there. */
import { join } from 'node:path';
import { StartupError } from '../errors.ts';
import type { ProcessRunner } from '../ports/process.ts';
import type { CommandKeeper, CommandReader } from '../ports/reader.ts';
import type { StorageUse } from '../ports/watching.ts';
import { Changes } from './changes.ts';
import { Claim } from './claim.ts';
import type { Cluster, ClusterOptions } from './cluster/cluster.ts';
import { type EmbeddedPostgres, startEmbedded } from './embedded.ts';
import { journalName, takerName } from './fence.ts';
import { BatchJournal, type JournalOptions } from './journal.ts';
import { createKeeper } from './keeper.ts';
import { migrate } from './migrate.ts';
import { mayPass, openPool, Patience, type PoolOptions, reasonOf } from './pool.ts';
import { createReader } from './reader.ts';
import { READ_MS } from './reads.ts';
import { type Recovered, recover } from './recovery.ts';
import { type RetentionOptions, retainRegularly } from './retention.ts';
import { clockOffset } from './sql/clock.ts';
import { selectStorageUse } from './sql/totals.ts';
import { watchStorageUse } from './storage-use.ts';
import { trimRegularly } from './trimming.ts';
import { createTurns } from './turns.ts';

/** How long a statement of a batch may take, in ms: the first time, and at most after time-outs. */
const BATCH_MS = [15_000, 600_000] as const;
/** How long a deletion may take, in ms. */
const DELETION_MS = 60_000;

/** Where the database is. */
export interface Database {
  url: string;
  /** How the banner calls it. */
  where: string;
  embedded?: EmbeddedPostgres;
  /** Set once we have the lock of the embedded PostgreSQL's folder: then it is ours to stop. */
  isOurs?: boolean;
}

/**
 * Starts the embedded PostgreSQL, unless a database is given. @throws StartupError
 * @param notAs the user that it must not run as: whom it takes for its own.
 */
export async function locateDatabase(
  databaseUrl: string | undefined,
  dataDir: string,
  notAs?: number,
): Promise<Database> {
  if (databaseUrl === undefined) {
    const embedded = await startEmbedded({ dataDir: join(dataDir, 'postgres'), notAs });
    return { url: embedded.url, where: 'embedded PostgreSQL in the same folder', embedded };
  }
  try {
    const { hostname, pathname } = new URL(databaseUrl);
    const where = `database ${pathname.slice(1)} at ${decodeURIComponent(hostname) || 'localhost'}`;
    return { url: databaseUrl, where };
  } catch (error) {
    throw unreachable('the database of DATABASE_URL', error);
  }
}

/** What this server is and does as a node of a cluster. */
export type ClusterPart = Pick<ClusterOptions, 'node' | 'maxTaken' | 'lostMs' | 'onFenced' | 'onLost' | 'onError'>;

export interface StorageOptions
  extends Pick<JournalOptions, 'outputLimit' | 'onCommitted' | 'onRetry' | 'onRefused'>,
    Pick<RetentionOptions, 'retention' | 'onExpired' | 'onRetentionFailed'> {
  database: Database;
  dataDir: string;
  /** The number of this server, where a launcher gives it one. */
  owner: number | undefined;
  runner: ProcessRunner;
  /** What this server is for the others on the database; undefined: it shares nothing with them. */
  cluster: ClusterPart | undefined;
  /** Ends waiting for a database that does not answer. */
  signal?: AbortSignal;
}

export interface Storage {
  journal: BatchJournal;
  reader: CommandReader;
  keeper: CommandKeeper;
  /** What is stored; null when the database has not told yet. Answers within about a second, and never rejects. */
  use(): Promise<StorageUse | null>;
  /** Undefined: it shares nothing with other servers. */
  cluster: Cluster | undefined;
  /** What servers before this one have left behind. */
  recovered: Recovered;
  /** Whether the database answers on the connection that holds our claim. */
  isUp(): Promise<boolean>;
  /** Commits all that was written, and lets go of the database. */
  close(): Promise<void>;
}

/**
 * Takes the claim, brings the schema up to date, and takes up what servers before this one have left behind.
 * @throws StartupError when waiting would not help; any other error may pass.
 */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  await using opening = new AsyncDisposableStack();
  try {
    return await open(options, opening);
  } catch (error) {
    if (error instanceof StartupError || mayPass(error) || options.signal?.aborted) throw error;
    const { embedded } = options.database;
    throw unreachable(embedded === undefined ? 'the database of DATABASE_URL' : 'the embedded PostgreSQL', error);
  }
}

async function open(options: StorageOptions, opening: AsyncDisposableStack): Promise<Storage> {
  const { url, embedded } = options.database;
  const claim = await unlessAborted(options.signal, () => Claim.take(url, options.owner, embedded?.start));
  opening.defer(() => claim.close());
  if (embedded !== undefined) {
    if (!(await claim.takeFolder())) {
      throw new StartupError(`another shellvisor works with the data folder ${options.dataDir}`);
    }
    options.database.isOurs = true;
  }
  await unlessAborted(options.signal, () => migrate(url));

  // Readers must not keep the journal waiting for a connection, nor the other way round; nor deletions the readers.
  const openOne = async (poolOptions: PoolOptions) => {
    const pool = await openPool(url, poolOptions);
    opening.defer(() => pool.end());
    return pool;
  };
  const pool = await openOne({ maxPoolSize: 8, patience: new Patience(READ_MS), statementMs: READ_MS });
  const deletions = { patience: new Patience(DELETION_MS), statementMs: DELETION_MS };
  const deletePool = await openOne({ maxPoolSize: 4, ...deletions });
  const closing = new AbortController();
  trimRegularly(deletePool, closing.signal);
  opening.defer(() => closing.abort());
  const patience = new Patience(...BATCH_MS);
  const journalPool = await openOne({ maxPoolSize: 1, patience, exclusiveName: journalName(claim.owner) });

  const join = async (part: ClusterPart) => {
    // A server alone starts sooner without pg-boss.
    const { Cluster } = await import('./cluster/cluster.ts');
    // What takes too long is ended by PostgreSQL too: it would hold up whoever tries the same again.
    const pool = await openOne({ maxPoolSize: 2, patience: new Patience(BATCH_MS[0]), statementMs: BATCH_MS[0] });
    const takerPool = await openOne({
      maxPoolSize: 1,
      patience: new Patience(...BATCH_MS),
      exclusiveName: takerName(claim.owner),
    });
    const onTaken: ClusterOptions['onTaken'] = (commands) => journal.resumeTransitions(commands);
    const cluster = await Cluster.join({
      ...part,
      databaseUrl: url,
      pool,
      takerPool,
      claim,
      runner: options.runner,
      onTaken,
    });
    opening.defer(() => cluster.close());
    return cluster;
  };
  const cluster = options.cluster && (await join(options.cluster));
  const changes = new Changes(cluster && ((uuid) => !cluster.has(uuid)));
  const journal: BatchJournal = new BatchJournal({
    pool: journalPool,
    patience,
    readPool: pool,
    deletePool,
    clockOffsetMs: await clockOffset(journalPool),
    owner: claim.owner,
    outputLimit: options.outputLimit,
    changes,
    onCommitted: options.onCommitted,
    onRetry: options.onRetry,
    onRefused: options.onRefused,
    node: options.cluster?.node.name,
    enqueue: cluster && ((db, commands) => cluster.enqueue(db, commands)),
  });
  const recovered = await recover(journalPool, claim, options.runner, cluster !== undefined);
  journal.resumeTransitions([...recovered.living, ...recovered.queued]);
  const turns = createTurns();
  const { retention, onExpired, onRetentionFailed } = options;
  retainRegularly({ retention, pool: deletePool, turns, changes, onExpired, onRetentionFailed }, closing.signal);
  opening.defer(() => journal.idle());

  const opened = opening.move();
  return {
    journal,
    reader: createReader(pool, changes),
    keeper: createKeeper({ pool, deletePool, turns, changes }),
    use: watchStorageUse(() => selectStorageUse(pool)),
    cluster,
    recovered,
    isUp: () => claim.isHeld(),
    close: () => opened.disposeAsync(),
  };
}

function unreachable(what: string, error: unknown): StartupError {
  return new StartupError(`${what} can't be reached: ${reasonOf(error)}`, { cause: error });
}

/** The result of what is started, or the reason of an abort that comes first; what was started goes on. */
async function unlessAborted<T>(signal: AbortSignal | undefined, start: () => Promise<T>): Promise<T> {
  if (signal === undefined) return start();
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort);
  try {
    return await Promise.race([start(), aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
