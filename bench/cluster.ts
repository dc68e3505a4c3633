/** What sharing the work costs: the same commands by one server alone, by it as a node, and by three nodes of one machine. */
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { inRounds, type Run } from './benchmark.ts';
import { connect, untilAllEnded } from './database.ts';
import { figure } from './figures.ts';
import { submit } from './load.ts';
import { machineMs } from './process.ts';
import { type Server, startServer } from './server.ts';

const SCRIPT = 'echo hi';
const CONNECTIONS = 64;
/** Between two commands that each find a free slot, in ms. */
const PAUSE_MS = 20;

/** Several servers on one database. */
export interface Contestant {
  name: string;
  servers: Server[];
  db: Client;
}

export async function cluster(run: Run): Promise<void> {
  const count = run.quick ? 300 : 4000;
  const calm = run.quick ? 20 : 200;
  const alone = await startServer(run);
  const contestants = [
    { name: 'one server alone', servers: [alone], db: await connect(run, alone.databaseUrl) },
    await startNodes(run, alone, 'one node', 1),
    await startNodes(run, alone, 'three nodes', 3),
  ];
  const measured = contestants.map(() => ({ rate: [] as number[], ms: [] as number[], waits: [] as number[] }));
  for (const contestant of contestants) await runAll(contestant, 200);
  await inRounds(run, async () => {
    for (const [i, contestant] of contestants.entries()) {
      const busyBefore = machineMs();
      const seconds = await runAll(contestant, count);
      measured[i]?.ms.push((machineMs() - busyBefore) / count);
      measured[i]?.rate.push(count / seconds);
      measured[i]?.waits.push(...(await waits(contestant, calm)));
    }
  });
  const [first] = measured;
  for (const [i, { name }] of contestants.entries()) {
    const { rate = [], ms = [], waits = [] } = measured[i] ?? {};
    const bare = (values: number[] = []) => (i === 0 ? undefined : { name: 'one server alone', values });
    figure(`${name}: short commands run and stored`, rate, '/s', bare(first?.rate));
    figure(`${name}: processor time of the machine, each`, ms, 'ms', bare(first?.ms));
    const sorted = waits.toSorted((a, b) => a - b);
    figure(
      `${name}: from POST to start with free slots, p50`,
      [sorted[Math.floor(sorted.length * 0.5)] as number],
      'ms',
    );
    figure(`${name}: the same, p99`, [sorted[Math.floor(sorted.length * 0.99)] as number], 'ms');
  }
}

/** Starts nodes on a database of their own, in the PostgreSQL of a server. */
export async function startNodes(run: Run, { databaseUrl }: Server, name: string, count: number): Promise<Contestant> {
  const admin = new Client(databaseUrl);
  await admin.connect();
  const database = name.replaceAll(' ', '_');
  await admin.query(`CREATE DATABASE ${database}`);
  await admin.end();
  const url = new URL(databaseUrl);
  url.pathname = `/${database}`;
  const servers: Server[] = [];
  for (let n = 0; n < count; n++) {
    servers.push(await startServer(run, { DATABASE_URL: url.href, SHELLVISOR_CLUSTER: 'on' }));
  }
  return { name, servers, db: await connect(run, url.href) };
}

/** Runs short commands, sent to all servers in equal parts. @returns how long that took, in s. @throws when one ran not just once. */
async function runAll({ servers, db }: Contestant, count: number): Promise<number> {
  const { rows } = await db.query('SELECT coalesce(max(id), 0) AS last FROM commands');
  const startedAt = performance.now();
  await Promise.all(
    servers.map(({ url }, i) => {
      const share = Math.floor(((i + 1) * count) / servers.length) - Math.floor((i * count) / servers.length);
      return submit(url, Math.ceil(CONNECTIONS / servers.length), share, SCRIPT);
    }),
  );
  await untilAllEnded(db);
  const seconds = (performance.now() - startedAt) / 1000;
  const executed = await db.query(
    `SELECT count(*)::int AS count FROM commands JOIN command_output ON command_id = id
     WHERE id > $1 AND status = 'EXECUTED' AND data = $2 AND reruns = 0`,
    [rows[0].last, Buffer.from('hi\n')],
  );
  if (executed.rows[0].count !== count) throw new Error(`${count} commands, but ${executed.rows[0].count} are stored`);
  return seconds;
}

/** How long commands that find a free slot wait for it, in ms. */
async function waits({ servers, db }: Contestant, count: number): Promise<number[]> {
  const { rows } = await db.query('SELECT coalesce(max(id), 0) AS last FROM commands');
  for (let n = 0; n < count; n++) {
    await submit((servers[n % servers.length] as Server).url, 1, 1, SCRIPT);
    await delay(PAUSE_MS);
  }
  await untilAllEnded(db);
  const started = await db.query(
    'SELECT extract(epoch FROM started_at - created_at)::float8 * 1000 AS ms FROM commands WHERE id > $1',
    [rows[0].last],
  );
  return started.rows.map(({ ms }) => ms);
}
