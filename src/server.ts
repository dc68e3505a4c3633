/** The composition root: config → database → journal → actors → app; signals and shutdown. */
import { createServer } from 'node:net';
import { join } from 'node:path';
import closeWithGrace from 'close-with-grace';
import type { FastifyInstance } from 'fastify';
import pino, { type Logger } from 'pino';
import { createCommandSystem } from './actors/commander.ts';
import { logTransitions } from './actors/inspector.ts';
import { buildApp } from './app.ts';
import { outputLimitOf } from './command.ts';
import { type Config, loadConfig } from './config.ts';
import { StartupError } from './errors.ts';
import { Claim } from './persistence/claim.ts';
import { clockOffset } from './persistence/commands.ts';
import { type EmbeddedPostgres, startEmbedded } from './persistence/embedded.ts';
import { BatchJournal } from './persistence/journal.ts';
import { migrate } from './persistence/migrate.ts';
import { isUnavailable, openPool } from './persistence/pool.ts';
import { createReader } from './persistence/reader.ts';
import { recover } from './persistence/recovery.ts';
import { createInProcessRunner } from './process/in-process.ts';
import { connectLauncher, type LauncherOptions } from './process/through-launcher.ts';
import { onShutdownSignals, SHUTDOWN_SIGNALS } from './signals.ts';

/** How a server ends: with all that runs, or leaving the scripts to the next server of its launcher. */
type Ending = 'shut down' | 'hand over';

/** What was started and has to be closed, the last one first. */
type Closers = ((ending: Ending) => Promise<void> | void)[];

/** Of the time a shutdown may take, the part that scripts get to end by themselves. */
const SHUTDOWN_GRACE_SHARE = 0.5;
/** How long open connections may take to end once nothing runs any more, in ms. */
const CONNECTIONS_MS = 1000;

/** The descriptor of the connection to the launcher, which gives it as the argument; without it scripts run in here. */
const linkFd = process.argv[2] === undefined ? undefined : Number(process.argv[2]);

async function main(): Promise<void> {
  const config = loadConfig();
  // The banner goes to stdout, the log to stderr: one for people, one for machines.
  const log = pino({ level: config.logLevel }, pino.destination(2));
  const closers: Closers = [];
  let starting: Promise<void> | undefined;
  let ending: Ending = 'shut down';
  let launcherLost = false;

  const grace = closeWithGrace(
    {
      delay: config.shutdownMs,
      logger: false,
      skip: [...SHUTDOWN_SIGNALS],
      onTimeout: (ms) => log.error({ ms }, 'the shutdown took too long; ending at once'),
    },
    async ({ err }) => {
      if (err !== undefined) log.fatal({ err }, 'ending after an error that nobody handled');
      // A signal may come while we start: what is under way has to be there before it can be closed.
      await starting?.catch(() => {});
      await closeAll(closers, ending, log);
      log.info({ ending }, 'ended');
      if (launcherLost) throw new Error('the launcher is gone');
    },
  );
  // The end of the terminal reaches us too, but there it is for the launcher to say what it means.
  if (linkFd !== undefined) process.on('SIGHUP', () => {});
  onShutdownSignals(
    linkFd === undefined ? SHUTDOWN_SIGNALS : ['SIGINT', 'SIGTERM'],
    (signal) => {
      log.info({ signal }, 'shutting down');
      grace.close();
    },
    (signal) => {
      log.warn({ signal }, 'second signal; ending at once');
      process.exit(1);
    },
  );

  starting = start(config, log, closers, {
    onHandOver() {
      log.info('another server takes over');
      ending = 'hand over';
      grace.close();
    },
    onLost() {
      log.fatal('the launcher is gone; its scripts are being killed');
      launcherLost = true;
      grace.close();
    },
  });
  try {
    await starting;
  } catch (error) {
    if (!(error instanceof StartupError)) throw error;
    await closeAll(closers, ending, log);
    fail(error);
  }
}

/** Closes what was started, once, the last one first; one that fails does not keep the others open. */
async function closeAll(closers: Closers, ending: Ending, log: Logger): Promise<void> {
  for (const close of closers.splice(0).reverse()) {
    try {
      await close(ending);
    } catch (err) {
      log.error({ err }, 'something could not be closed');
    }
  }
}

type LauncherEvents = Pick<LauncherOptions, 'onHandOver' | 'onLost'>;

async function start(config: Config, log: Logger, closers: Closers, events: LauncherEvents): Promise<void> {
  await assertPortFree(config.host, config.port);
  const launcher = linkFd === undefined ? undefined : await connectLauncher({ ...config, ...events, fd: linkFd });
  if (launcher !== undefined) closers.push(() => launcher.close());
  const runner = launcher ?? (await createInProcessRunner(config));
  const database = await openDatabase(config);
  const { url } = database;
  const claim = await Claim.take(url, launcher?.owner, database.embedded?.start);
  if (database.embedded !== undefined && !(await claim.takeFolder())) {
    throw new StartupError(`another shellvisor works with the data folder ${config.dataDir}`);
  }
  closers.push(async (ending) => {
    await claim.close();
    if (ending === 'shut down') await database.embedded?.stop();
  });
  await migrate(url);

  // Readers must not keep the journal waiting for a connection, nor the other way round.
  const pool = await openPool(url, { maxPoolSize: 8 });
  const journalPool = await openPool(url, { maxPoolSize: 1 });
  closers.push(async () => {
    await Promise.all([pool.end(), journalPool.end()]);
  });
  const journal = new BatchJournal({
    pool: journalPool,
    deletePool: pool,
    clockOffsetMs: await clockOffset(journalPool),
    owner: claim.owner,
    outputLimit: outputLimitOf(config.outputLimitBytes),
    onRetry: (err, attempt) => log.warn({ err, attempt }, 'the database did not take a batch; trying again'),
    onRefused: (err, uuid) => log.error({ err, uuid }, 'the database refuses output of a command for good'),
  });
  closers.push(() => journal.idle());

  const recovered = await recover(journalPool, claim, runner);
  const reader = createReader(pool);
  const commander = createCommandSystem({
    ...config,
    journal,
    reader,
    runner,
    shutdownGraceMs: Math.min(config.stopGraceMs, config.shutdownMs * SHUTDOWN_GRACE_SHARE),
    onError: (message, uuid, err) => log.error({ err, uuid }, message),
    inspect: log.isLevelEnabled('debug') ? logTransitions(log) : undefined,
  });
  const app = await buildApp({ commander, reader, isStorageError: isUnavailable, logger: log });
  closers.push(() => closeApp(app));
  // Closed first: clients are answered to the end, and what runs is stopped while they still can be.
  closers.push((ending) => (ending === 'shut down' ? commander.drain() : launcher?.pause()));

  const address = await app.listen({ host: config.host, port: config.port }).catch((error) => {
    throw cannotListen(config.host, config.port, error);
  });
  // Not before: a server that can't listen must not have started anything.
  commander.readmit(recovered.living);
  commander.admit(recovered.queued);
  const { queued, living, lost, killed } = recovered;
  const found = { queued: queued.length, living: living.length, lost, killed };
  log.info({ address, scripts: runner.description, ...found }, 'listening');
  launcher?.ready();
  process.stdout.write(banner(address, database.where, config.dataDir));
}

interface Database {
  url: string;
  /** How the banner calls it. */
  where: string;
  embedded?: EmbeddedPostgres;
}

/** Starts the embedded PostgreSQL, or looks whether the given one is there. */
async function openDatabase(config: Config): Promise<Database> {
  const { databaseUrl, dataDir } = config;
  if (databaseUrl === undefined) {
    const embedded = await startEmbedded({ dataDir: join(dataDir, 'postgres') });
    return { url: embedded.url, where: 'embedded PostgreSQL in the same folder', embedded };
  }
  try {
    await (await openPool(databaseUrl, { maxPoolSize: 1 })).end();
  } catch (error) {
    throw new StartupError(`the database of DATABASE_URL can't be reached: ${reasonOf(error)}`, { cause: error });
  }
  const { hostname, pathname } = new URL(databaseUrl);
  return { url: databaseUrl, where: `database ${pathname.slice(1)} at ${decodeURIComponent(hostname) || 'localhost'}` };
}

/** The deepest sentence of an error that has one: names with several addresses fail with an empty AggregateError. */
function reasonOf(error: unknown): string {
  const { message, cause, errors } = error as Error & { errors?: unknown[] };
  if (cause !== undefined) return reasonOf(cause);
  return errors?.[0] === undefined ? message : reasonOf(errors[0]);
}

/** Said before anything is started, rather than after PostgreSQL is up and commands have been taken over. */
async function assertPortFree(host: string, port: number): Promise<void> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once('error', (error) => reject(cannotListen(host, port, error)));
    probe.listen({ host, port }, () => probe.close(() => resolve()));
  });
}

function cannotListen(host: string, port: number, error: NodeJS.ErrnoException): StartupError {
  const why: Record<string, string> = {
    EADDRINUSE: 'another program listens there already; end it, or set PORT',
    EACCES: 'only root may use this port; set PORT to one above 1023',
    EADDRNOTAVAIL: 'this machine has no such address; set HOST',
    ENOTFOUND: 'there is no such host name; set HOST',
  };
  return new StartupError(`can't listen on ${host}:${port}: ${why[error.code ?? ''] ?? error.message}`, {
    cause: error,
  });
}

/** Ends the application; connections that stay open although nothing is being answered any more are cut. */
async function closeApp(app: FastifyInstance): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), CONNECTIONS_MS);
  await app.close();
  clearTimeout(timer);
}

function banner(address: string, where: string, dataDir: string): string {
  return `
  shellvisor is ready

    API    ${address}/api/v1/commands
    Docs   ${address}/docs
    Data   ${dataDir} (${where})

    Try    curl -s -H 'Content-Type: application/json' -d '{"script":"echo Hello"}' ${address}/api/v1/commands
    Stop   Ctrl-C

`;
}

/** One clear line, and the exit status that tells a failure. */
function fail(error: StartupError): never {
  process.stderr.write(`shellvisor: ${error.message.replaceAll(/\s*\n\s*/g, ' ')}\n`);
  process.exit(1);
}

main().catch((error) => {
  if (error instanceof StartupError) fail(error);
  throw error;
});
