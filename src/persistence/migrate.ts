/** Brings a database to the schema in `postgres/`. */
import { readdir } from 'node:fs/promises';
import { parse } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Client } from 'pg';
import { StartupError } from '../errors.ts';
import { createClient, endClient } from './client.ts';
import { mayPass } from './pool.ts';

const MIGRATIONS = fileURLToPath(new URL('../../postgres', import.meta.url));
const TABLE = 'migrations';
/** Where the library keeps it, whatever the connection looks through first. */
const STORED_TABLE = `public.${TABLE}`;
/** How long a statement of a migration may take, in ms; one that changes a large table takes its time. */
const STATEMENT_MS = 3_600_000;
/** How long it may wait for a lock, in ms: everybody who wants the table later waits behind it. Then it is tried again. */
const LOCK_MS = 5000;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * Runs the migrations that are missing, all in one transaction. Servers that start at once take turns by an advisory
 * lock. @throws StartupError when waiting for the database would not help, else what went wrong.
 */
export async function migrate(databaseUrl: string): Promise<void> {
  // The library's own has no listener for errors: a connection that drops would end the process.
  const client = createClient(databaseUrl, 'shellvisor migrations', STATEMENT_MS);
  try {
    await client.connect();
    await client.query(`SET lock_timeout = ${LOCK_MS}`);
    if (await isUpToDate(client)) return;
    const { runner } = await import('node-pg-migrate');
    await runner({
      dbClient: client,
      dir: MIGRATIONS,
      migrationsTable: TABLE,
      direction: 'up',
      advisoryLockMode: 'wait',
      logger: quiet,
    });
  } catch (error) {
    if (mayPass(error)) throw error;
    throw new StartupError(`the database could not be migrated: ${(error as Error).message}`, { cause: error });
  } finally {
    await endClient(client);
  }
}

/** Whether nothing is missing. Nearly every start finds it so, and then needs neither the library nor its lock. */
async function isUpToDate(client: Client): Promise<boolean> {
  const { rows } = await client.query('SELECT to_regclass($1) IS NOT NULL AS is_there', [STORED_TABLE]);
  if (!rows[0].is_there) return false;
  const run = await client.query(`SELECT name FROM ${STORED_TABLE}`);
  const missing = new Set((await readdir(MIGRATIONS)).map((file) => parse(file).name));
  for (const { name } of run.rows) missing.delete(name);
  return missing.size === 0;
}
