/**
 * The connection pool, and what its errors mean.
 *
 * A PostgreSQL that is stopped, or behind a network that has gone, never answers, and `statement_timeout` is its own: so
 * each statement has a bound on our side as well. A connection that exceeds it is destroyed and not used again.
 */
import { createPgDriverFactory } from '@slonik/pg-driver';
import {
  BackendTerminatedError,
  BackendTerminatedUnexpectedlyError,
  ConnectionError,
  createPool,
  createTimestampWithTimeZoneTypeParser,
  type DatabasePool,
  type DriverClient,
  type DriverFactory,
  type Interceptor,
  SchemaValidationError,
} from 'slonik';
import { within } from '../deadline.ts';
import { endSessions, namedUrl, SessionLingers } from './fence.ts';

/** How long connecting may take, in ms. */
export const CONNECT_MS = 5000;
/** How long a connection that is given up has to end by itself, in ms. */
const END_MS = 100;
/**
 * How long a transaction may wait for its next statement, in ms. Ours follow one another at once; the one of a server
 * that the network has cut off would hold its locks for as long.
 */
const IDLE_IN_TRANSACTION_MS = 10_000;

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

/**
 * A statement that got no answer in time. Slonik knows its base class as the end of the connection, and does not try a
 * ROLLBACK on it.
 */
export class StatementTimeout extends BackendTerminatedError {
  constructor(ms: number) {
    super(new Error(`PostgreSQL has not answered for ${ms} ms`));
  }
}

/** How long statements may take, in ms: longer after each time-out, so that a slow database gets there in the end. */
export class Patience {
  readonly #first: number;
  readonly #longest: number;
  #ms: number;

  constructor(first: number, longest = first) {
    this.#first = first;
    this.#longest = longest;
    this.#ms = first;
  }

  get ms(): number {
    return this.#ms;
  }

  /** After a time-out. */
  grow(): void {
    this.#ms = Math.min(this.#ms * 2, this.#longest);
  }

  /** After a success. */
  reset(): void {
    this.#ms = this.#first;
  }
}

export interface PoolOptions {
  /** Most connections it opens. */
  maxPoolSize: number;
  /** How long each statement may take, on our side. */
  patience: Patience;
  /** How long PostgreSQL lets a statement run, in ms; undefined: as long as it takes. */
  statementMs?: number;
  /**
   * The name of its sessions. Its pool has one connection, and each that it opens first ends all others of this name, so
   * that nothing an earlier one has sent takes effect behind its back.
   */
  exclusiveName?: string;
}

/** Opens a pool and its first connection. @throws when the database can't be reached. */
export async function openPool(databaseUrl: string, options: PoolOptions): Promise<DatabasePool> {
  const { exclusiveName } = options;
  const url = exclusiveName === undefined ? databaseUrl : namedUrl(databaseUrl, exclusiveName);
  const opening = createPool(url, {
    maxPoolSize: options.maxPoolSize,
    idleTimeout: 60_000,
    connectionTimeout: CONNECT_MS,
    // Whoever wants to try again does, with pauses between.
    connectionRetryLimit: 1,
    gracefulTerminationTimeout: END_MS,
    statementTimeout: options.statementMs ?? 'DISABLE_TIMEOUT',
    idleInTransactionSessionTimeout: IDLE_IN_TRANSACTION_MS,
    driverFactory: boundedDriver(options.patience, exclusiveName),
    interceptors: [resultParser],
    // All our 64-bit numbers are far below 2^53; times come as ms since the epoch.
    typeParsers: [{ name: 'int8', parse: Number }, createTimestampWithTimeZoneTypeParser()],
    // Slonik's default, DISCARD ALL, costs a round trip a use; no query here leaves anything in its session.
    resetConnection: async () => {},
  });
  // Slonik asks for the types' numbers on a connection of its own, without a bound.
  const pool = await within(2 * CONNECT_MS, opening, () => new StatementTimeout(2 * CONNECT_MS));
  // A connection that drops while idle is replaced at its next use; without a listener it would end the process.
  pool.on('error', () => {});
  return pool;
}

/** Slonik's driver, with a bound to each statement: pg has one, `query_timeout`, that Slonik does not let through. */
function boundedDriver(patience: Patience, exclusiveName: string | undefined): DriverFactory {
  const createDriver = createPgDriverFactory();
  return async (options) => {
    const driver = await createDriver(options);
    return {
      async createClient() {
        const client = boundStatements(await driver.createClient(), patience);
        if (exclusiveName === undefined) return client;
        try {
          client.acquire();
          await endSessions(client.query, exclusiveName);
          await client.release();
        } catch (error) {
          await client.destroy();
          throw error;
        }
        return client;
      },
    };
  };
}

function boundStatements(client: DriverClient, patience: Patience): DriverClient {
  let expired: StatementTimeout | undefined;
  return {
    ...client,
    query(...args) {
      // Slonik's ROLLBACK after a COMMIT without an answer would wait once more.
      if (expired !== undefined) return Promise.reject(expired);
      const { ms } = patience;
      return within(ms, client.query(...args), () => {
        expired = new StatementTimeout(ms);
        return expired;
      });
    },
  };
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

/**
 * Whether the database can't be used at the moment: it is away (08, 57), out of something (53), can't reach its files
 * (58), or is not reached itself.
 */
export function isUnavailable(error: unknown): boolean {
  return (
    error instanceof ConnectionError ||
    error instanceof BackendTerminatedError ||
    error instanceof BackendTerminatedUnexpectedlyError ||
    /^((08|53|57|58)...|E[A-Z]+|EAI_AGAIN)$/.test(codeOf(error))
  );
}

/**
 * What may pass by waiting when a server starts: a database that is away, starts or shuts down (08, 57), is full or takes
 * no more connections (53), is a standby that may be promoted (25006), has a table locked (55P03), or is not reached. A wrong password, a missing
 * database or a host name that nobody knows won't pass.
 */
const PASSING =
  /^((08|53|57|58|XX)...|25006|55P03|ECONN(REFUSED|RESET|ABORTED)|ENOENT|EPIPE|EAGAIN|ETIMEDOUT|E(HOST|NET)(UNREACH|DOWN)|EAI_AGAIN)$/;
/** What pg says without a code. */
const PASSING_MESSAGE = /^(timeout expired|Query read timeout|Connection terminated)/;

/** Whether a server that can't start for this error had better wait for the database. */
export function mayPass(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof StatementTimeout || at instanceof SessionLingers) return true;
  }
  const code = codeOf(error);
  return code === '' ? PASSING_MESSAGE.test(deepest(error).message) : PASSING.test(code);
}

/** The sentence at the bottom of an error; names with several addresses fail with an empty AggregateError. */
export function reasonOf(error: unknown): string {
  return deepest(error).message;
}

function deepest(error: unknown): Error {
  const { cause, errors } = error as Error & { errors?: unknown[] };
  if (cause !== undefined) return deepest(cause);
  return errors?.[0] === undefined ? (error as Error) : deepest(errors[0]);
}
