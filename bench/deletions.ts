/** Deleting a million commands: how long it takes, what others see of it, and what retention costs with nothing to do. */
import { setTimeout as delay } from 'node:timers/promises';
import { Changes } from '../src/persistence/changes.ts';
import { openPool, Patience } from '../src/persistence/pool.ts';
import { applyRetention } from '../src/persistence/retention.ts';
import { createTurns } from '../src/persistence/turns.ts';
import type { Run } from './benchmark.ts';
import { connect } from './database.ts';
import { figure } from './figures.ts';
import { type Load, send } from './load.ts';
import { startServer } from './server.ts';
import { fillUp } from './stored.ts';

/** Of those who create commands and look at the list meanwhile. */
const CONNECTIONS = 4;
const ROUNDS = 20;

export async function deletions(run: Run): Promise<void> {
  const many = run.quick ? 50_000 : 1_000_000;
  const server = await startServer(run);
  const db = await connect(run, server.databaseUrl);
  await fillUp(db, many);
  const name = `deletions, ${many.toLocaleString('en')} stored`;

  const pool = await openPool(server.databaseUrl, { maxPoolSize: 1, patience: new Patience(60_000) });
  run.cleanup.defer(() => pool.end());
  const { signal } = new AbortController();
  const apply = (count: number) => {
    const retention = { age: 1e9, count, bytes: 1e15 };
    return applyRetention(
      { retention, pool, turns: createTurns(), changes: new Changes(), onExpired: () => {} },
      signal,
    );
  };
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) rounds.push(await msOf(() => apply(many)));
  figure(`${name}: retention with nothing to do`, rounds, 'ms');
  figure(`${name}: retention of a tenth`, [(many / 10 / (await msOf(() => apply(many * 0.9)))) * 1000], '/s');

  const seconds = run.quick ? 1 : 10;
  // Code that has not run often yet is slow.
  await others(server.url, () => delay(seconds * 1000));
  const alone = await others(server.url, () => delay(seconds * 1000));
  let deleted = 0;
  let ms = 0;
  const meanwhile = await others(server.url, async () => {
    ms = await msOf(async () => {
      const path = '/api/v1/commands?created_before=2100-01-01T00:00:00Z';
      const response = await fetch(server.url + path, { method: 'DELETE' });
      ({ deleted } = (await response.json()) as { deleted: number });
    });
  });
  figure(`${name}: DELETE of all others`, [(deleted / ms) * 1000], '/s');
  for (const [kind, { perSecond, p50Ms, p99Ms }] of Object.entries(meanwhile)) {
    const bare = alone[kind as keyof typeof alone];
    figure(`${name}: ${kind} meanwhile`, [perSecond], '/s', { name: 'without it', values: [bare.perSecond] });
    figure(`${name}: ${kind} meanwhile, p50`, [p50Ms], 'ms', { name: 'without it', values: [bare.p50Ms] });
    figure(`${name}: ${kind} meanwhile, p99`, [p99Ms], 'ms', { name: 'without it', values: [bare.p99Ms] });
  }
}

async function msOf(act: () => Promise<unknown>): Promise<number> {
  const before = performance.now();
  await act();
  return performance.now() - before;
}

/** What others do while something goes on. */
async function others(url: string, act: () => Promise<unknown>): Promise<Record<'POST' | 'GET', Load>> {
  let goesOn = true;
  const body = JSON.stringify({ script: 'true' });
  const posts = send(url, CONNECTIONS, () => (goesOn ? { method: 'POST', path: '/api/v1/commands', body } : undefined));
  const gets = send(url, CONNECTIONS, () =>
    goesOn ? { method: 'GET', path: '/api/v1/commands?limit=10' } : undefined,
  );
  await act();
  goesOn = false;
  return { POST: await posts, GET: await gets };
}
