/** The composition root: config → database → journal → actors → app; signals and shutdown. */
import { setTimeout as delay } from 'node:timers/promises';
import closeWithGrace from 'close-with-grace';
import type { FastifyInstance } from 'fastify';
import pRetry from 'p-retry';
import type { Logger } from 'pino';
import type { Access } from './access/caller.ts';
import { Keyring } from './access/keyring.ts';
import { type CommandSystem, createCommandSystem } from './actors/commander.ts';
import { ActorInspector, logTransitions } from './actors/inspector.ts';
import { buildApp } from './app.ts';
import { banner } from './banner.ts';
import { outputLimitOf } from './command.ts';
import { type Config, loadConfig } from './config.ts';
import { NodeFenced, StartupError } from './errors.ts';
import { armFailpoint, journalWithFailpoints, runnerWithFailpoints } from './failpoints.ts';
import { Gate } from './gate.ts';
import { assertFree, closeApp, listen } from './listening.ts';
import { createLogger, logOutcomes } from './logging.ts';
import { PrometheusMetrics } from './metrics.ts';
import { seclude } from './os/seclusion.ts';
import { isUnavailable, reasonOf } from './persistence/pool.ts';
import { type Database, locateDatabase, openStorage, type Storage } from './persistence/storage.ts';
import type { ProcessRunner } from './ports/process.ts';
import type { Readiness } from './ports/watching.ts';
import { createInProcessRunner } from './process/in-process.ts';
import { connectLauncher, type LauncherOptions, type LauncherRunner } from './process/through-launcher.ts';
import { DASHBOARD } from './programs.ts';
import { findAccount } from './scripts/account.ts';
import { onShutdownSignals, SHUTDOWN_SIGNALS } from './signals.ts';
import { VERSION } from './version.ts';

/**
 * How a server ends: with all that runs; leaving the scripts to the next server of its launcher; or having been given up by
 * the other nodes, so that nothing that runs here is its own.
 */
type Ending = 'shut down' | 'hand over' | 'fenced';

/** What was started so far and has to be closed. */
interface Parts {
  launcher?: LauncherRunner;
  database?: Database;
  app?: FastifyInstance;
  storage?: Storage;
  commander?: CommandSystem;
}

/** Of the time a shutdown may take, the part that scripts get to end by themselves. */
const SHUTDOWN_GRACE_SHARE = 0.5;
/** First and longest pause before we look again for a database that is not there yet, in ms. */
const WAIT = { retries: Number.POSITIVE_INFINITY, minTimeout: 100, maxTimeout: 1000 };
/** How long whoever asks for readiness waits for the database, in ms. */
const READINESS_MS = 900;

/** The descriptor of the connection to the launcher, which gives it as the argument; without it scripts run in here. */
const linkFd = process.argv[2] === undefined ? undefined : Number(process.argv[2]);

async function main(): Promise<void> {
  // Before anything is read that others shall not see.
  const isSecluded = await seclude();
  const config = loadConfig();
  // The banner goes to stdout, the log to stderr: one for people, one for machines.
  const log = createLogger(config.logLevel);
  if (!isSecluded)
    log.warn('other programs of the same user, scripts too, can look into this process: koffi does not work here');
  const parts: Parts = {};
  const stopping = new AbortController();
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
      stopping.abort();
      await starting?.catch(() => {});
      await closeAll(parts, ending, log);
      log.info({ ending }, 'ended');
      if (launcherLost) throw new Error('the launcher is gone');
      if (ending === 'fenced') throw new Error('the other nodes have given this one up');
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

  starting = start(config, log, parts, stopping.signal, {
    onHandOver() {
      log.info('another server takes over');
      ending = 'hand over';
      grace.close();
    },
    onFenced() {
      if (stopping.signal.aborted) return;
      log.fatal('the other nodes have given this one up; what runs here is being killed, and it begins anew');
      ending = 'fenced';
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
    if (stopping.signal.aborted) return;
    if (!(error instanceof StartupError)) throw error;
    if (error instanceof NodeFenced) ending = 'fenced';
    await closeAll(parts, ending, log);
    fail(error);
  }
}

/** Closes what was started; one part that fails does not keep the others open. */
async function closeAll(parts: Parts, ending: Ending, log: Logger): Promise<void> {
  const { launcher, database, app, storage, commander } = parts;
  const steps = [
    // Clients are answered to the end, and what runs is stopped while they still can be.
    // What runs in the server's own process ends with it, whatever comes next.
    () => (ending === 'shut down' || launcher === undefined ? commander?.drain() : launcher.pause()),
    () => (ending === 'fenced' ? launcher?.fenced() : undefined),
    () => (ending === 'shut down' ? storage?.cluster?.leave() : storage?.cluster?.rest()),
    () => app && closeApp(app),
    () => storage?.close(),
    () => (ending === 'shut down' && database?.isOurs ? database.embedded?.stop() : undefined),
    () => launcher?.close(),
  ];
  for (const close of steps) {
    try {
      await close();
    } catch (err) {
      log.error({ err }, 'something could not be closed');
    }
  }
}

interface Events extends Pick<LauncherOptions, 'onHandOver' | 'onLost'> {
  onFenced: () => void;
}

/** @param stopping ends waiting for the database, after the pause; what has been found by then is started to the end. */
async function start(config: Config, log: Logger, parts: Parts, stopping: AbortSignal, events: Events): Promise<void> {
  const passes = armFailpoint(config.environment, config.dataDir);
  const keyring = new Keyring({ token: config.token, file: config.tokenFile });
  await assertFree(config);
  const account = config.runAs === undefined ? undefined : findAccount(config.runAs);
  const scripts = { ...config.scripts, account };
  if (linkFd !== undefined) parts.launcher = await connectLauncher({ ...events, fd: linkFd, config: scripts });
  const { launcher } = parts;
  const warn = (message: string) => log.warn(message);
  const runner = launcher ?? (await createInProcessRunner({ ...scripts, environment: config.environment, warn }));
  const database = await locateDatabase(config.databaseUrl, config.dataDir, account?.uid);
  parts.database = database;

  const gate = new Gate(config.cluster !== undefined);
  const inspector = config.inspect ? new ActorInspector() : undefined;
  const readiness = () => lookAtReadiness(parts, runner, stopping);
  const metrics = new PrometheusMetrics();
  metrics.collectProcess();
  const app = await buildApp({
    commander: gate,
    reader: gate,
    keeper: gate,
    nodes: gate,
    readiness,
    metrics,
    inspection: inspector,
    isStorageError: isUnavailable,
    access: {
      keyring,
      allowedHosts: config.allowedHosts,
      docs: docsAccess(config.docs),
      ratePerMinute: config.ratePerMinute,
    },
    limits: config,
    dashboard: DASHBOARD,
    logger: log,
  });
  parts.app = app;
  /** From now on the launcher starts us again should we crash. */
  const serve = async (state: string) => {
    const address = await listen(app, config);
    launcher?.ready();
    const { socket, dataDir, docs } = config;
    const { where } = database;
    const hasDocs = docs !== 'off';
    process.stdout.write(banner({ state, address, socket, wantsToken: keyring.isWanted, hasDocs, dataDir, where }));
    return address;
  };

  const open = (signal?: AbortSignal) =>
    openStorage({
      database,
      dataDir: config.dataDir,
      owner: launcher?.owner,
      runner,
      cluster: config.cluster && {
        node: { name: config.cluster.name, labels: config.cluster.labels, version: VERSION, slots: config.maxParallel },
        maxTaken: config.cluster.maxParallel,
        lostMs: config.cluster.lostMs,
        onFenced: events.onFenced,
        onLost: (node) => log.warn(node, 'a node is gone; what it ran is lost or runs again'),
        onError: (err) => log.warn({ err }, 'something between the nodes has failed; trying again'),
      },
      outputLimit: outputLimitOf(config.outputLimitBytes),
      onCommitted: (batch) => metrics.batch(batch),
      onRetry: (err, attempt) => log.warn({ err, attempt }, 'the database did not take a batch; trying again'),
      retention: config.retention,
      onExpired: (expired) => {
        metrics.expired(expired);
        log.info(expired, 'retention has deleted commands');
      },
      onRetentionFailed: (error) =>
        log.warn({ reason: reasonOf(error) }, 'retention could not delete commands; trying again in a minute'),
      onRefused: (err, uuid) => log.error({ err, uuid }, 'the database refuses for good what it was sent of a command'),
      ...(signal !== undefined && { signal }),
    });
  let address: string | undefined;
  // A signal does not cut the start short where scripts live, whose end has to be stored; nor that of our own PostgreSQL,
  // which has to be there before it can be stopped.
  const mayBreakOff = database.embedded === undefined && runner.living.size === 0;
  const storage = await open(mayBreakOff ? stopping : undefined).catch(async (error) => {
    if (error instanceof StartupError || stopping.aborted) throw error;
    address = await serve(`is waiting for its database: ${reasonOf(error)}`);
    return waitFor(open, reasonOf(error), stopping, log);
  });
  parts.storage = storage;

  const journal = logOutcomes(metrics.around(storage.journal), log);
  const commander = createCommandSystem({
    ...config,
    journal: passes === undefined ? journal : journalWithFailpoints(journal, passes),
    reader: storage.reader,
    runner: passes === undefined ? runner : runnerWithFailpoints(runner, passes),
    queue: storage.cluster,
    shutdownGraceMs: Math.min(config.stopGraceMs, config.shutdownMs * SHUTDOWN_GRACE_SHARE),
    onError: (message, uuid, err) => log.error({ err, uuid }, message),
    inspect: all(inspector?.observe, log.isLevelEnabled('debug') ? logTransitions(log) : undefined),
  });
  parts.commander = commander;
  metrics.collectFrom({
    load: commander.load,
    journalLagMs: () => storage.journal.lagMs,
    storageUse: () => storage.use(),
  });
  // First of all: a server that can't listen must not have started anything.
  address ??= await serve('is ready');
  const { queued, living, lost, killed } = storage.recovered;
  commander.readmit(living);
  commander.admit(queued);
  gate.open(commander, storage.reader, storage.keeper, storage.cluster);
  storage.cluster?.serve(commander.work);
  for (const warning of runner.warnings) log.warn(warning);
  const found = { queued: queued.length, living: living.length, lost, killed };
  log.info({ address, scripts: runner.description, layers: runner.layers, ...found }, 'ready');
}

/** Looks for a database that is not there yet until it is. @throws StartupError when waiting does not help. */
async function waitFor(
  open: (signal: AbortSignal) => Promise<Storage>,
  reason: string,
  signal: AbortSignal,
  log: Logger,
): Promise<Storage> {
  let told = '';
  const tell = (reason: string) => {
    if (reason !== told) log.warn({ reason }, 'the database is not there yet; requests get 503 until it is');
    told = reason;
  };
  tell(reason);
  // The signal is not pRetry's: it would drop a storage that is found in the very moment of a shutdown.
  return pRetry(() => open(signal), {
    ...WAIT,
    shouldRetry: ({ error }) => !(error instanceof StartupError) && !signal.aborted,
    onFailedAttempt: ({ error }) => {
      if (!signal.aborted && !(error instanceof StartupError)) tell(reasonOf(error));
    },
  });
}

async function lookAtReadiness(parts: Parts, runner: ProcessRunner, stopping: AbortSignal): Promise<Readiness> {
  const { storage, commander } = parts;
  const [isUp, use = null] = await Promise.all([
    Promise.race([storage?.isUp() ?? false, delay(READINESS_MS, false)]),
    storage?.use(),
  ]);
  const launcherPid = parts.launcher === undefined ? null : process.ppid;
  const { description: scripts, layers } = runner;
  const load = commander?.load() ?? null;
  const base = { database: isUp ? 'up' : 'down', scripts, layers, launcherPid, load, storage: use } as const;
  if (stopping.aborted) return { ...base, status: 'draining' };
  if (storage === undefined || commander === undefined) return { ...base, status: 'starting' };
  return { ...base, status: isUp && !storage.journal.isStuck ? 'ready' : 'unavailable' };
}

/** One that calls all of those that there are; undefined: there is none, and nothing has to be told at all. */
function all<T>(...observers: (((event: T) => void) | undefined)[]): ((event: T) => void) | undefined {
  const [first, ...others] = observers.filter((observer) => observer !== undefined);
  if (first === undefined || others.length === 0) return first;
  return (event) => {
    for (const observer of [first, ...others]) observer(event);
  };
}

/** Who may see the documentation. */
function docsAccess(docs: Config['docs']): Access | undefined {
  return { public: 'public', token: ['read'], off: undefined }[docs] as Access | undefined;
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
