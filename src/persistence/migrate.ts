/** Brings a database to the schema in `postgres/`. */
import { fileURLToPath } from 'node:url';
import { runner } from 'node-pg-migrate';
import { StartupError } from '../errors.ts';

const MIGRATIONS = fileURLToPath(new URL('../../postgres', import.meta.url));
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * Runs the migrations that are missing, all in one transaction. Servers that start at once take turns by an advisory
 * lock. @throws StartupError
 */
export async function migrate(databaseUrl: string): Promise<void> {
  try {
    await runner({
      databaseUrl,
      dir: MIGRATIONS,
      migrationsTable: 'migrations',
      direction: 'up',
      advisoryLockMode: 'wait',
      logger: quiet,
    });
  } catch (error) {
    throw new StartupError(`the database could not be migrated: ${(error as Error).message}`, { cause: error });
  }
}
