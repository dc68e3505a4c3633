/** The connection pool, and what its errors mean. */
import {
  BackendTerminatedError,
  BackendTerminatedUnexpectedlyError,
  ConnectionError,
  createPool,
  createTimestampWithTimeZoneTypeParser,
  type DatabasePool,
  type Interceptor,
  SchemaValidationError,
} from 'slonik';

/** Slonik checks rows against the schema of their query only when an interceptor does it. */
const resultParser: Interceptor = {
  name: 'result-parser',
  transformRow({ resultParser: schema }, query, row) {
    if (schema === undefined) return row;
    const result = schema['~standard'].validate(row);
    if (result instanceof Promise) throw new Error('result schemas must be synchronous');
    if (result.issues !== undefined) throw new SchemaValidationError(query, row, result.issues);
    return result.value as typeof row;
  },
};

export interface PoolOptions {
  /** Most connections it opens. */
  maxPoolSize: number;
}

/** Opens a pool and its first connection. @throws when the database can't be reached. */
export async function openPool(databaseUrl: string, options: PoolOptions): Promise<DatabasePool> {
  const pool = await createPool(databaseUrl, {
    maxPoolSize: options.maxPoolSize,
    idleTimeout: 60_000,
    interceptors: [resultParser],
    // All our 64-bit numbers are far below 2^53; times come as ms since the epoch.
    typeParsers: [{ name: 'int8', parse: Number }, createTimestampWithTimeZoneTypeParser()],
    // Slonik's default, DISCARD ALL, costs a round trip a use; no query here leaves anything in its session.
    resetConnection: async () => {},
  });
  // A connection that drops while idle is replaced at its next use; without a listener it would end the process.
  pool.on('error', () => {});
  return pool;
}

/** The `code` of an error, looked for along its causes: a SQLSTATE, or what Node calls a failed system call. */
function codeOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown };
    if (typeof code === 'string') return code;
  }
  return '';
}

/**
 * Whether the same statements may succeed later. Errors of data (22), constraints (23), SQL (42) and limits (54) won't,
 * nor will rows of a shape that we don't expect; all else (lost connections, a restarting or full database, time-outs)
 * may. In doubt it may: to give up would lose what was to be stored.
 */
export function isTransient(error: unknown): boolean {
  return !(error instanceof SchemaValidationError) && !/^(22|23|42|54)...$/.test(codeOf(error));
}

/** Whether the database can't be used at the moment: it is away (08, 57), out of something (53), or not reached. */
export function isUnavailable(error: unknown): boolean {
  return (
    error instanceof ConnectionError ||
    error instanceof BackendTerminatedError ||
    error instanceof BackendTerminatedUnexpectedlyError ||
    /^((08|53|57)...|E[A-Z]+)$/.test(codeOf(error))
  );
}
