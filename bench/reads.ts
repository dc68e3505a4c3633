/** Reading: how many GETs per second, with few commands stored and with a million. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Client } from 'pg';
import { inRounds, type Run } from './benchmark.ts';
import { connect } from './database.ts';
import { figure } from './figures.ts';
import { get } from './load.ts';
import { startServer } from './server.ts';
import { fillUp } from './stored.ts';

const BARE_APP = fileURLToPath(new URL('./bare-app.ts', import.meta.url));
const CONNECTIONS = 32;
const FEW = 100;

export async function reads(run: Run): Promise<void> {
  const many = run.quick ? 50_000 : 1_000_000;
  const server = await startServer(run);
  const db = await connect(run, server.databaseUrl);
  const bareUrl = await startBareApp(run, server.databaseUrl);

  for (const stored of [FEW, many]) {
    await fillUp(db, stored);
    const uuids = await someUuids(db);
    await measure(
      run,
      `${stored.toLocaleString('en')} stored`,
      server.url,
      bareUrl,
      {
        'one by its uuid': uuids.map((uuid) => `/api/v1/commands/${uuid}`),
        'list of 10': ['/api/v1/commands?limit=10'],
        'list of 10 EXECUTED, which most are': ['/api/v1/commands?limit=10&status=EXECUTED'],
        'list of 10 STOPPED, which few are': ['/api/v1/commands?limit=10&status=STOPPED'],
        'list of 10 half-way down': [`/api/v1/commands?limit=10&offset=${stored / 2}`],
      },
      uuids,
    );
  }
}

/** Measures each kind of read in turns with the bare app. */
async function measure(
  run: Run,
  where: string,
  url: string,
  bareUrl: string,
  kinds: Record<string, string[]>,
  uuids: string[],
): Promise<void> {
  const seconds = run.quick ? 1 : 3;
  const barePaths = uuids.map((uuid) => `/${uuid}`);
  // Code that has not run often yet is slow.
  await get(bareUrl, CONNECTIONS, seconds, barePaths);
  for (const paths of Object.values(kinds)) await get(url, CONNECTIONS, seconds / 3, paths);

  const bare: number[] = [];
  const found = new Map(Object.keys(kinds).map((kind) => [kind, { perSecond: [] as number[], p99Ms: [] as number[] }]));
  await inRounds(run, async () => {
    bare.push((await get(bareUrl, CONNECTIONS, seconds, barePaths)).perSecond);
    for (const [kind, { perSecond, p99Ms }] of found) {
      const load = await get(url, CONNECTIONS, seconds, kinds[kind] as string[]);
      perSecond.push(load.perSecond);
      p99Ms.push(load.p99Ms);
    }
  });
  for (const [kind, { perSecond }] of found) {
    figure(`reads, ${where}: ${kind}`, perSecond, '/s', { name: 'bare Fastify + Slonik', values: bare });
  }
  figure(`reads, ${where}: p99 of one by its uuid`, found.get('one by its uuid')?.p99Ms ?? [], 'ms');
}

async function startBareApp(run: Run, databaseUrl: string): Promise<string> {
  const child = fork(BARE_APP, [databaseUrl]);
  const exited = once(child, 'exit');
  run.cleanup.defer(async () => {
    child.kill();
    await exited;
  });
  const [url] = await once(child, 'message');
  return url;
}

async function someUuids(db: Client): Promise<string[]> {
  const { rows } = await db.query('SELECT command_uuid FROM commands ORDER BY random() LIMIT 10000');
  return rows.map((row) => row.command_uuid);
}
