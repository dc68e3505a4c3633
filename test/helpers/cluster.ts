/** The PostgreSQL of the tests: one embedded cluster a run, one database a test file, cloned from a migrated template. */
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
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
  await administer(clusterUrl, `CREATE DATABASE ${name} TEMPLATE ${template}`);
  t.teardown(() => administer(clusterUrl, `DROP DATABASE ${name} WITH (FORCE)`));
  return databaseUrl(clusterUrl, name);
}
