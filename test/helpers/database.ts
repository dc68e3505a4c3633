/** Pools on a database of the test's own. */
import { Client } from 'pg';
import type { DatabasePool } from 'slonik';
import type { Test } from 'tap';
import type { NewCommand } from '../../src/command.ts';
import { openPool, Patience } from '../../src/persistence/pool.ts';
import { createDatabase } from './cluster.ts';

export interface TestDatabase {
  url: string;
  pool: DatabasePool;
  /** Runs SQL and gives its rows. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into rows of many shapes
  rows(sql: string, values?: unknown[]): Promise<any[]>;
}

/** A migrated database with a pool of a few connections. */
export async function openDatabase(t: Test): Promise<TestDatabase> {
  const url = await createDatabase(t);
  const pool = await openPool(url, { maxPoolSize: 4, patience: new Patience(60_000) });
  const client = new Client(url);
  await client.connect();
  t.teardown(async () => {
    await client.end();
    await pool.end();
  });
  return { url, pool, rows: async (sql, values) => (await client.query(sql, values)).rows };
}

let last = 0;

/** A command with a uuid of its own. */
export function newCommand(fields: Partial<NewCommand> = {}): NewCommand {
  const uuid = `00000000-0000-4000-8000-${String(++last).padStart(12, '0')}`;
  return {
    uuid,
    description: '',
    script: 'true',
    durable: false,
    options: {},
    inputs: {},
    secretNames: [],
    labels: {},
    pinned: false,
    createdAt: new Date(),
    rerunOf: null,
    createdBy: null,
    idempotency: undefined,
    forAnyNode: false,
    ...fields,
  };
}
