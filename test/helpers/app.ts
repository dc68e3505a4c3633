/** The whole application in the process of the test: real PostgreSQL, real bash, no socket. */
import type { FastifyInstance, InjectOptions } from 'fastify';
import type { Test } from 'tap';
import { type CommandSystem, createCommandSystem } from '../../src/actors/commander.ts';
import { ActorInspector } from '../../src/actors/inspector.ts';
import { type AccessOptions, buildApp } from '../../src/app.ts';
import { outputLimitOf } from '../../src/command.ts';
import { Gate } from '../../src/gate.ts';
import type { RequestLimits } from '../../src/limits/limits.ts';
import { PrometheusMetrics } from '../../src/metrics.ts';
import { Changes } from '../../src/persistence/changes.ts';
import { BatchJournal } from '../../src/persistence/journal.ts';
import { createKeeper } from '../../src/persistence/keeper.ts';
import { isUnavailable, Patience } from '../../src/persistence/pool.ts';
import { createReader } from '../../src/persistence/reader.ts';
import { selectStorageUse } from '../../src/persistence/sql/totals.ts';
import { watchStorageUse } from '../../src/persistence/storage-use.ts';
import { createTurns } from '../../src/persistence/turns.ts';
import type { ProcessRunner } from '../../src/ports/process.ts';
import { createInProcessRunner } from '../../src/process/in-process.ts';
import { DASHBOARD } from '../../src/programs.ts';
import { accessWith } from './access.ts';
import { openDatabase, type TestDatabase } from './database.ts';
import { temporaryFolder } from './server.ts';
import { until } from './until.ts';

export interface TestAppOptions {
  maxParallel?: number;
  maxQueued?: number;
  stopGraceMs?: number;
  timeoutMs?: number | undefined;
  maxTimeoutMs?: number;
  outputLimitBytes?: number;
  /** What clients may have of the server, where that differs from the defaults. */
  limits?: Partial<RequestLimits>;
  /** That of another application; else one of its own. */
  database?: TestDatabase;
  /** Who may come in; everybody unless given. */
  access?: Partial<AccessOptions>;
  /** Whether one can follow what happens in its actors. */
  inspect?: boolean;
  /** Where the dashboard was built to. */
  dashboard?: string;
  /** The number of its server, where several share a database. */
  owner?: number;
}

export interface TestAnswer {
  status: number;
  headers: Record<string, unknown>;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
  body: any;
}

export interface TestApp {
  app: FastifyInstance;
  commander: CommandSystem;
  runner: ProcessRunner;
  changes: Changes;
  database: TestDatabase;
  /** Sends a request; a body is sent as JSON. */
  request(
    method: InjectOptions['method'],
    url: string,
    payload?: object,
    headers?: InjectOptions['headers'],
  ): Promise<TestAnswer>;
  /** Posts a script and gives its uuid. */
  submit(script: string, path?: string): Promise<string>;
  /** Waits until a command has a status. */
  reaches(uuid: string, status: string): Promise<TestAnswer['body']>;
}

let runner: Promise<ProcessRunner> | undefined;

/**
 * One for all applications of a process, as a server has one: it listens for children that end for good, so each further one
 * would make every script dearer.
 */
function sharedRunner(): Promise<ProcessRunner> {
  if (runner !== undefined) return runner;
  // Not at the end of the outermost test: with something to clean up, that ends as soon as no test of its file runs.
  const atExit = { teardown: (cleanUp: () => unknown) => process.once('exit', cleanUp) };
  runner = createInProcessRunner({ dataDir: temporaryFolder(atExit), environment: process.env, cgroups: true });
  return runner;
}

export async function startApp(
  t: Test,
  {
    outputLimitBytes = 10 * 1024 * 1024,
    owner = 1,
    database: given,
    access,
    limits = {},
    inspect,
    dashboard = DASHBOARD,
    ...options
  }: TestAppOptions = {},
): Promise<TestApp> {
  const database = given ?? (await openDatabase(t));
  const changes = new Changes();
  const metrics = new PrometheusMetrics();
  const journal = new BatchJournal({
    pool: database.pool,
    patience: new Patience(60_000),
    readPool: database.pool,
    deletePool: database.pool,
    clockOffsetMs: 0,
    owner,
    outputLimit: outputLimitOf(outputLimitBytes),
    changes,
    onCommitted: (batch) => metrics.batch(batch),
    onRetry: t.comment,
    onRefused: t.comment,
  });
  const reader = createReader(database.pool, changes);
  const { pool } = database;
  const keeper = createKeeper({ pool, deletePool: pool, turns: createTurns(), changes });
  const storageUse = watchStorageUse(() => selectStorageUse(pool));
  const runner = await sharedRunner();
  const inspector = inspect ? new ActorInspector() : undefined;
  const commander = createCommandSystem({
    journal: metrics.around(journal),
    reader,
    runner,
    maxParallel: 64,
    maxQueued: 100,
    stopGraceMs: 5000,
    shutdownGraceMs: 0,
    timeoutMs: undefined,
    maxTimeoutMs: undefined,
    onError: (message, uuid) => t.fail(`${message}: ${uuid}`),
    inspect: inspector?.observe,
    ...options,
  });
  metrics.collectFrom({ load: commander.load, journalLagMs: () => journal.lagMs, storageUse });
  const app = await buildApp({
    commander,
    reader,
    keeper,
    nodes: new Gate(),
    readiness: async () => ({
      status: 'ready',
      database: 'up',
      scripts: 'test',
      layers: ['process group'],
      launcherPid: null,
      load: commander.load(),
      storage: await storageUse(),
    }),
    metrics,
    inspection: inspector,
    isStorageError: isUnavailable,
    access: accessWith(access),
    limits,
    dashboard,
  });
  t.teardown(async () => {
    await commander.drain();
    await app.close();
    await journal.idle();
  });
  const request: TestApp['request'] = async (method, url, payload, headers = {}) => {
    const response = await app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) });
    const isJson = response.headers['content-type']?.toString().startsWith('application/json');
    return { status: response.statusCode, headers: response.headers, body: isJson ? response.json() : response.body };
  };
  return {
    app,
    commander,
    runner,
    changes,
    database,
    request,
    async submit(script, path = '/api/v1/commands') {
      const { status, body } = await request('POST', path, { script });
      if (status !== 201) throw new Error(`${status} ${JSON.stringify(body)}`);
      return body.uuid;
    },
    reaches: (uuid, status) =>
      until(`${uuid} is ${status}`, async () => {
        const { body } = await request('GET', `/api/v1/commands/${uuid}`);
        return body.status === status ? body : null;
      }),
  };
}
