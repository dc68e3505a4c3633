/** Short commands: how many are run and stored per second, and how long their clients wait, under full load. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Client } from 'pg';
import { inRounds, type Run } from './benchmark.ts';
import { connect, untilAllEnded } from './database.ts';
import { figure } from './figures.ts';
import { type Load, submit } from './load.ts';
import type { Probed } from './probe.ts';
import { processorMs, residentMiB } from './process.ts';
import { type Server, startServer } from './server.ts';

const BARE_SPAWN = fileURLToPath(new URL('bare-spawn.ts', import.meta.url));
const SCRIPT = 'echo hi';
const OUTPUT = 'hi\n';
/** What `SHELLVISOR_MAX_PARALLEL` is unless set; xargs gets the same. */
const PARALLEL = 64;
const CONNECTIONS = 64;

export async function shortCommands(run: Run): Promise<void> {
  await measure(run, 'short commands', 0);
  await measure(run, 'short commands, 1 GiB of heap', 1024);
}

/** @param heapMiB is kept alive in the server besides what it needs: spawning must not cost more for it. */
async function measure(run: Run, name: string, heapMiB: number): Promise<void> {
  const count = run.quick ? 500 : 4000;
  const file = await scriptFile(run);
  await using cleanup = new AsyncDisposableStack();
  const server = await startServer(
    { ...run, cleanup },
    { SHELLVISOR_MAX_PARALLEL: `${PARALLEL}`, BENCH_HEAP_MIB: `${heapMiB}` },
  );
  const db = await connect({ ...run, cleanup }, server.databaseUrl);
  await store(server, db, 200);

  const byXargs: number[] = [];
  const bySpawn: number[] = [];
  const stored: number[] = [];
  const loads: Load[] = [];
  const probes: Probed[] = [];
  const busyBefore = processorMs(server.pids);
  await inRounds(run, async () => {
    byXargs.push(count / (await xargsSeconds(file, count)));
    bySpawn.push(count / (await spawnSeconds(file, count)));
    await server.probe();
    const { load, seconds } = await store(server, db, count);
    probes.push(await server.probe());
    loads.push(load);
    stored.push(count / seconds);
  });
  const busyMs = processorMs(server.pids) - busyBefore;

  const from = <T>(values: readonly T[], pick: (value: T) => number) => values.map(pick);
  figure(`${name}: run and stored`, stored, '/s', { name: 'bare posix_spawn', values: bySpawn });
  figure(`${name}: the same`, stored, '/s', { name: `xargs -P ${PARALLEL}`, values: byXargs });
  figure(
    `${name}: POST p50 under this load`,
    from(loads, (load) => load.p50Ms),
    'ms',
  );
  figure(
    `${name}: POST p99 under this load`,
    from(loads, (load) => load.p99Ms),
    'ms',
  );
  figure(
    `${name}: event-loop delay p99 meanwhile`,
    from(probes, (probed) => probed.delayP99Ms),
    'ms',
  );
  figure(`${name}: processor time of the server, each`, [busyMs / (count * stored.length)], 'ms');
  figure(
    `${name}: heap of the server`,
    from(probes, (probed) => probed.heapMiB),
    'MiB',
  );
  figure(`${name}: resident memory of the server, at most`, [residentMiB(server.pids, 'peak')], 'MiB');
}

async function scriptFile(run: Run): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'shellvisor-bench-'));
  run.cleanup.defer(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'script.sh');
  writeFileSync(file, SCRIPT);
  return file;
}

/** The bare limit: the same script, as often, run by xargs. */
async function xargsSeconds(file: string, count: number): Promise<number> {
  const startedAt = performance.now();
  const { stdout } = await promisify(execFile)('sh', ['-c', `seq ${count} | xargs -P ${PARALLEL} -n 1 bash '${file}'`]);
  const seconds = (performance.now() - startedAt) / 1000;
  if (stdout.length !== OUTPUT.length * count) throw new Error('xargs did not run every script');
  return seconds;
}

/** The bare limit once more: by posix_spawn, from an empty Node. */
async function spawnSeconds(file: string, count: number): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [BARE_SPAWN, `${count}`, `${PARALLEL}`, file]);
  return Number(stdout);
}

/** Runs commands through the server. @throws when one of them, or its output, is not stored as it must be. */
async function store(server: Server, db: Client, count: number): Promise<{ load: Load; seconds: number }> {
  const { rows } = await db.query('SELECT coalesce(max(id), 0) AS last FROM commands');
  const startedAt = performance.now();
  const load = await submit(server.url, CONNECTIONS, count, SCRIPT);
  await untilAllEnded(db);
  const seconds = (performance.now() - startedAt) / 1000;
  const executed = await db.query(
    `SELECT count(*)::int AS count FROM commands JOIN command_output ON command_id = id
     WHERE id > $1 AND status = 'EXECUTED' AND data = $2`,
    [rows[0].last, Buffer.from(OUTPUT)],
  );
  if (executed.rows[0].count !== count) throw new Error(`${count} commands, but ${executed.rows[0].count} are stored`);
  return { load, seconds };
}
