/** What commands cost PostgreSQL, apart from what they cost the servers: docs/scaling.md computes with it what one carries. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { inRounds, type Run } from './benchmark.ts';
import { type Contestant, startNodes } from './cluster.ts';
import { connect, untilAllEnded } from './database.ts';
import { figure } from './figures.ts';
import { send } from './load.ts';
import { processorMs } from './process.ts';
import { startServer } from './server.ts';

const COMMANDS = '/api/v1/commands';
const DURABLES = '/api/v1/durables/commands';
/** Does not get smaller by compression. */
const ONE_MIB = 'head -c 1048576 /dev/urandom | base64 --wrap=99 | head -c 1048576';
/** How long servers that do nothing are looked at, in ms. */
const IDLE_MS = 10_000;

/** Of one thing that is done: what PostgreSQL takes for it. */
interface Cost {
  ms: number;
  walBytes: number;
  storedBytes: number;
}

export async function postgres(run: Run): Promise<void> {
  const alone = await startServer(run);
  const contestants: Contestant[] = [
    { name: 'one server alone', servers: [alone], db: await connect(run, alone.databaseUrl) },
    await startNodes(run, alone, 'three nodes', 3),
  ];
  const idle = await costOf(contestants[1] as Contestant, IDLE_MS / 1000, () => delay(IDLE_MS));
  figure('one server and three nodes that do nothing: processor', [idle.ms], 'ms/s');
  for (const contestant of contestants) await runAll(contestant, COMMANDS, 'echo hi', 64, 200);
  for (const contestant of contestants) {
    const { name } = contestant;
    const short: Cost[] = [];
    const sparse: Cost[] = [];
    const regular: Cost[] = [];
    const durable: Cost[] = [];
    await inRounds(run, async () => {
      const few = run.quick ? 50 : 200;
      short.push(await costOf(contestant, few * 15, () => runAll(contestant, COMMANDS, 'echo hi', 64, few * 15)));
      sparse.push(await costOf(contestant, few, () => runAll(contestant, COMMANDS, 'echo hi', 1, few)));
      regular.push(await costOf(contestant, few, () => runAll(contestant, COMMANDS, ONE_MIB, 8, few)));
      durable.push(await costOf(contestant, few, () => runAll(contestant, DURABLES, ONE_MIB, 8, few)));
    });
    tell(`${name}: a short command, 64 connections`, short);
    tell(`${name}: a short command, one at a time`, sparse);
    tell(`${name}: a regular command of 1 MiB`, regular);
    tell(`${name}: a durable command of 1 MiB`, durable);
  }
  for (const { name, db, servers } of contestants) {
    const { rows } = await db.query(
      `SELECT count(*)::int AS count FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`,
    );
    figure(`${name}: connections after that, each`, [rows[0].count / servers.length], '');
  }
}

function tell(what: string, costs: readonly Cost[]): void {
  figure(
    `${what}: processor`,
    costs.map(({ ms }) => ms),
    'ms',
  );
  figure(
    `${what}: WAL`,
    costs.map(({ walBytes }) => walBytes / 1024),
    'KiB',
  );
  figure(
    `${what}: stored`,
    costs.map(({ storedBytes }) => storedBytes / 1024),
    'KiB',
  );
}

/** What PostgreSQL takes while something is done, for each of `count`. It starts with a checkpoint, so whole pages are in its WAL. */
async function costOf({ db }: Contestant, count: number, act: () => Promise<void>): Promise<Cost> {
  await db.query('CHECKPOINT');
  const [before, ms] = [await place(db), await postgresMs(db)];
  await act();
  const spent = (await postgresMs(db)) - ms;
  const after = await place(db);
  const { rows } = await db.query('SELECT pg_wal_lsn_diff($1, $2)::float8 AS bytes', [after.lsn, before.lsn]);
  return { ms: spent / count, walBytes: rows[0].bytes / count, storedBytes: (after.size - before.size) / count };
}

async function place(db: Client): Promise<{ lsn: string; size: number }> {
  const { rows } = await db.query(
    'SELECT pg_current_wal_lsn()::text AS lsn, pg_database_size(current_database())::float8 AS size',
  );
  return rows[0];
}

/** The processor time of all processes of the PostgreSQL: those of sessions that ended meanwhile are missing. */
async function postgresMs(db: Client): Promise<number> {
  const { rows } = await db.query('SELECT pg_backend_pid() AS pid');
  const postmaster = parentOf(rows[0].pid);
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger);
  return processorMs([postmaster as number, ...pids.filter((pid) => parentOf(pid) === postmaster)]);
}

/** Undefined: it has just ended. */
function parentOf(pid: number): number | undefined {
  try {
    return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
  } catch {
    return undefined;
  }
}

/** Has all servers run a script in equal parts, until all is stored. */
async function runAll({ servers, db }: Contestant, path: string, script: string, connections: number, count: number) {
  const request = { method: 'POST', path, body: JSON.stringify({ script }) } as const;
  let left = count;
  await Promise.all(
    servers
      .slice(0, connections)
      .map(({ url }) => send(url, Math.ceil(connections / servers.length), () => (left-- > 0 ? request : undefined))),
  );
  await untilAllEnded(db);
}
