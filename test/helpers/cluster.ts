/** The PostgreSQL of the tests: one embedded cluster a run, one database a test file, cloned from a migrated template. */
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { type EmbeddedPostgres, startEmbedded } from '../../src/persistence/embedded.ts';
import { migrate } from '../../src/persistence/migrate.ts';
import type { Scope } from './scope.ts';

/** Where the cluster of the tests lives, in the checkout. */
export const CLUSTER_DIR = fileURLToPath(new URL('../../.test/postgres', import.meta.url));
/** Where `before.ts` writes the URL of the cluster. */
export const URL_FILE = fileURLToPath(new URL('../../.test/url', import.meta.url));
/** The database that test databases are cloned from. */
export const TEMPLATE = 'shellvisor_template';

/** The URL of a database of the cluster. */
export function databaseUrl(clusterUrl: string, name: string): string {
  return clusterUrl.replace(/[^/]*$/, name);
}

/** Runs statements on the cluster's maintenance database. */
export async function administer(clusterUrl: string, ...statements: string[]): Promise<void> {
  const client = new Client(clusterUrl);
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Starts a cluster with the migrated template. */
export async function startCluster(dataDir: string): Promise<EmbeddedPostgres> {
  // Nothing here has to survive a power cut.
  const settings = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'max_connections=200'];
  const cluster = await startEmbedded({ dataDir, settings });
  await administer(cluster.url, `CREATE DATABASE ${TEMPLATE}`);
  await migrate(databaseUrl(cluster.url, TEMPLATE));
  return cluster;
}

/** Ends a cluster if it runs, after a run that was cut off too. */
export async function stopCluster(dataDir: string): Promise<void> {
  if (!existsSync(join(dataDir, 'postmaster.pid'))) return;
  await (await startEmbedded({ dataDir })).stop();
}

/** Makes a database for one test, migrated unless `template` says otherwise; it is dropped with the test. */
export async function createDatabase(
  t: Scope,
  template = TEMPLATE,
  clusterUrl = readFileSync(URL_FILE, 'utf8'),
): Promise<string> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  // Half the work of writing each page to the log.
  await administer(clusterUrl, `CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY file_copy`);
  t.teardown(async () => {
    await untilLeft(clusterUrl, name);
    await administer(clusterUrl, `DROP DATABASE ${name} WITH (FORCE)`);
  });
  return databaseUrl(clusterUrl, name);
}

/** How long connections that are being closed may take, in ms; what a test has left open is cut off then. */
const LEAVE_MS = 5000;

/** Waits until nobody is connected to a database: who is cut off in the middle of closing would report an error. */
async function untilLeft(clusterUrl: string, name: string): Promise<void> {
  const client = new Client(clusterUrl);
  await client.connect();
  try {
    for (const deadline = performance.now() + LEAVE_MS; performance.now() < deadline; await delay(10)) {
      const { rowCount } = await client.query('SELECT FROM pg_stat_activity WHERE datname = $1', [name]);
      if (rowCount === 0) return;
    }
  } finally {
    await client.end();
  }
}
