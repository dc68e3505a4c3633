/** Memory: what a thousand live commands cost the server. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { markOf } from '../src/os/mark.ts';
import { ProcessTable } from '../src/os/process-table.ts';
import type { Run } from './benchmark.ts';
import { connect, untilTrue } from './database.ts';
import { figure } from './figures.ts';
import { submit } from './load.ts';
import { proportionalMiB, residentMiB } from './process.ts';
import { startServer } from './server.ts';

const CONNECTIONS = 16;
/** bash, and the `sleep` it waits for. */
const PROCESSES_A_COMMAND = 2;

export async function memory(run: Run): Promise<void> {
  const count = run.quick ? 200 : 1000;
  const server = await startServer(run, { SHELLVISOR_MAX_PARALLEL: `${count}` });
  const db = await connect(run, server.databaseUrl);
  const idle = await settledMiB(server.pids);
  await submit(server.url, CONNECTIONS, count, 'sleep 1000');
  await untilTrue(db, "SELECT count(*) = $1 FROM commands WHERE status = 'EXECUTING'", [count]);
  const scripts = await scriptsMiB(db, count);
  const live = await settledMiB(server.pids);

  figure('memory: the server idle', [idle], 'MiB', { name: 'an empty Node', values: [await emptyNodeMiB()] });
  figure(`memory: the server with ${count.toLocaleString('en')} live commands`, [live], 'MiB');
  figure('memory: the server, a live command', [((live - idle) * 1024) / count], 'KiB', {
    name: 'what its bash and sleep take',
    values: [(scripts * 1024) / count],
  });
}

/** Waits until a process's memory stays where it is, which is some time after the work is done. */
async function settledMiB(pids: readonly number[]): Promise<number> {
  let last = residentMiB(pids);
  for (let calm = 0; calm < 5; ) {
    await delay(500);
    const now = residentMiB(pids);
    calm = Math.abs(now - last) < 0.5 ? calm + 1 : 0;
    last = now;
  }
  return last;
}

/** The memory of the processes of all scripts, once all of them are there. */
async function scriptsMiB(db: Client, count: number): Promise<number> {
  const { rows } = await db.query('SELECT command_uuid FROM commands');
  for (;;) {
    const table = new ProcessTable();
    const members = rows.flatMap((row) => table.membersOf({ mark: markOf(row.command_uuid) }));
    const pids = members.map(({ pid }) => pid);
    if (pids.length === count * PROCESSES_A_COMMAND) return pids.reduce((sum, pid) => sum + proportionalMiB(pid), 0);
    await delay(50);
  }
}

async function emptyNodeMiB(): Promise<number> {
  const child = spawn(process.execPath, ['-e', 'console.log("up"); process.stdin.resume()']);
  await once(child.stdout, 'data');
  const mib = residentMiB([child.pid as number]);
  child.kill();
  await once(child, 'exit');
  return mib;
}
