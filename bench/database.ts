/** The benchmarks' own look into the database. */
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import type { Run } from './benchmark.ts';

/** How often to look, in ms: rarely enough to cost nothing against what is measured, which takes seconds. */
const LOOK_MS = 50;

export async function connect(run: Run, databaseUrl: string): Promise<Client> {
  const client = new Client(databaseUrl);
  // A server that is cut off takes its database along; who waits for an answer hears of it by that.
  client.on('error', () => {});
  await client.connect();
  run.cleanup.defer(() => client.end().catch(() => {}));
  return client;
}

/** Waits until a query, which gives one row with one boolean column, gives true. */
export async function untilTrue(db: Client, query: string, values: unknown[] = []): Promise<void> {
  for (;;) {
    const { rows } = await db.query({ text: query, values, rowMode: 'array' });
    if (rows[0]?.[0] === true) return;
    await delay(LOOK_MS);
  }
}

/** Waits until all commands have ended and that is stored. */
export function untilAllEnded(db: Client): Promise<void> {
  return untilTrue(db, "SELECT NOT EXISTS (SELECT FROM commands WHERE status IN ('QUEUED', 'EXECUTING'))");
}
