/** Single connections, beside the pool, that a PostgreSQL which never answers can't hold up for ever. */
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { namedUrl } from './fence.ts';
import { CONNECT_MS } from './pool.ts';

/** How long a connection may take to end, in ms. */
const END_MS = 500;

/** A connection to be made. After a statement that took longer than `statementMs` it can only be ended. */
export function createClient(databaseUrl: string, name: string, statementMs: number): Client {
  const client = new Client({
    connectionString: namedUrl(databaseUrl, name),
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: statementMs,
  });
  // An error of a connection is followed by its end; without a listener it would end the process.
  client.on('error', () => {});
  return client;
}

/** Ends a connection; one that is stuck in a statement is cut. */
export async function endClient(client: Client | undefined): Promise<void> {
  const ended = client?.end().catch(() => {});
  await Promise.race([ended, delay(END_MS, undefined, { ref: false })]);
}
