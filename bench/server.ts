/** The server that is measured: launcher and server as `npm start` starts them, with an embedded PostgreSQL of its own, set up as in production. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startEmbedded } from '../src/persistence/embedded.ts';
import type { Run } from './benchmark.ts';
import type { Probed } from './probe.ts';

const PROBE = new URL('probe.ts', import.meta.url).href;
const ENTRY = fileURLToPath(new URL('../src/launcher/main.ts', import.meta.url));

/** The server itself ends within `SHELLVISOR_SHUTDOWN_MS`; past this it hangs, in ms. */
const KILL_AFTER_MS = 20_000;

export interface Server {
  /** Such as `http://127.0.0.1:41234`. */
  url: string;
  /** The process ids of the server and of its launcher: what is measured is both together. */
  pids: number[];
  /** Where its commands are stored. */
  databaseUrl: string;
  /** What was seen inside of the server since it was last asked. */
  probe(): Promise<Probed>;
}

/**
 * Starts a server with these settings on an empty database of its own, or on that of `DATABASE_URL`, and waits until it
 * listens.
 */
export async function startServer(run: Run, settings: Record<string, string> = {}): Promise<Server> {
  const dataDir = mkdtempSync(join(tmpdir(), 'shellvisor-bench-'));
  run.cleanup.defer(() => rm(dataDir, { recursive: true, force: true }));
  const clusterDir = join(dataDir, 'postgres');
  run.cleanup.defer(() => stopLeftCluster(clusterDir));

  const { PATH = '', HOME = '' } = process.env;
  const given = Object.entries(process.env).filter(([name]) => name.startsWith('SHELLVISOR_'));
  const env: Record<string, string> = {
    ...(Object.fromEntries(given) as Record<string, string>),
    PATH,
    HOME,
    PORT: '0',
    DATA_DIR: dataDir,
    LOG_LEVEL: 'warn',
    ...settings,
  };
  const probeFile = join(dataDir, 'probe.json');
  env.BENCH_PROBE_FILE = probeFile;
  env.NODE_OPTIONS = `--import=${PROBE} --max-old-space-size=4096`;
  if (run.profileDir !== undefined) env.NODE_OPTIONS += ` --cpu-prof --cpu-prof-dir=${run.profileDir}`;
  // Detached, so that a Ctrl-C at the terminal reaches us alone, and the server ends in its turn.
  const child = spawn(process.execPath, [ENTRY], {
    detached: true,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  run.cleanup.defer(() => end(child, exited));

  const url = await apiUrl(child);
  // One of its own runs already: this only asks where.
  const databaseUrl = settings.DATABASE_URL ?? (await startEmbedded({ dataDir: clusterDir })).url;
  const launcher = child.pid as number;
  const children = readFileSync(`/proc/${launcher}/task/${launcher}/children`, 'latin1').trim().split(' ');
  const server = Number(children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('server.ts')));
  return { url, pids: [launcher, server], databaseUrl, probe: () => askProbe(server, probeFile) };
}

/** Has the probe in the server write what it saw. */
async function askProbe(pid: number, file: string): Promise<Probed> {
  rmSync(file, { force: true });
  process.kill(pid, 'SIGUSR1');
  while (!existsSync(file)) await delay(10);
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** Waits for the line of the banner that says where the API is. */
async function apiUrl(child: ChildProcess): Promise<string> {
  let banner = '';
  for await (const text of (child.stdout as NodeJS.ReadableStream).setEncoding('utf8')) {
    banner += text;
    const url = /API\s+(\S+)\/api/.exec(banner)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error('the server ended without saying where it listens');
}

async function end(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  await exited;
  clearTimeout(timer);
}

/** The server ends its PostgreSQL, unless it was killed. */
async function stopLeftCluster(clusterDir: string): Promise<void> {
  if (!existsSync(join(clusterDir, 'postmaster.pid'))) return;
  await (await startEmbedded({ dataDir: clusterDir })).stop();
}
