/** A long queue: whether one more command costs the same behind ten thousand as behind none. */
import type { Run } from './benchmark.ts';
import { connect, untilTrue } from './database.ts';
import { figure } from './figures.ts';
import { submit } from './load.ts';
import { processorMs, residentMiB } from './process.ts';
import { startServer } from './server.ts';

const CONNECTIONS = 16;

export async function queue(run: Run): Promise<void> {
  const count = run.quick ? 2000 : 10_000;
  const part = count / 10;
  const server = await startServer(run, { SHELLVISOR_MAX_PARALLEL: '1' });
  const db = await connect(run, server.databaseUrl);
  await submit(server.url, 1, 1, 'sleep 1000');
  await untilTrue(db, "SELECT EXISTS (SELECT FROM commands WHERE status = 'EXECUTING')");
  // Code that has not run often yet is slow; without these the first commands would pay for it.
  await submit(server.url, CONNECTIONS, part, 'echo warm');

  const memoryBefore = residentMiB(server.pids);
  const parts: { ms: number; busyMs: number }[] = [];
  for (let sent = 0; sent < count; sent += part) {
    const before = processorMs(server.pids);
    const { seconds } = await submit(server.url, CONNECTIONS, part, 'echo hi');
    parts.push({ ms: (seconds * 1000) / part, busyMs: (processorMs(server.pids) - before) / part });
  }
  const memoryAfter = residentMiB(server.pids);
  await untilTrue(db, "SELECT count(*) = $1 FROM commands WHERE status = 'QUEUED'", [count + part]);

  const [first, last] = [parts[0], parts.at(-1)] as const;
  if (first === undefined || last === undefined) return;
  const size = part.toLocaleString('en');
  figure(`queue of ${count.toLocaleString('en')}: submitting one, the last ${size}`, [last.ms], 'ms', {
    name: `the first ${size}`,
    values: [first.ms],
  });
  figure('queue: processor time of the server for it', [last.busyMs], 'ms', {
    name: `the first ${size}`,
    values: [first.busyMs],
  });
  figure('queue: resident memory a waiting command', [((memoryAfter - memoryBefore) * 1024) / count], 'KiB');
}
