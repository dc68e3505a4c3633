/** The configuration, read from the environment. The only file that reads `process.env`. */
import { resolve } from 'node:path';
import { z } from 'zod';
import { MAX_TIMER_MS, type Retention } from './command.ts';
import { StartupError } from './errors.ts';

// Each schema's message says what the variable must be: "<NAME> must be <message>".
const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .refine((s) => /^\d+$/.test(s) && Number(s) >= min && Number(s) <= max, `a whole number from ${min} to ${max}`)
    .transform(Number);

const oneOf = <const T extends readonly [string, ...string[]]>(...values: T) =>
  z.enum(values, `one of ${values.join(', ')}`);

/** A hundred years. */
const MAX_AGE_S = 3_155_760_000;

const schema = z.object({
  HOST: z.string().default('127.0.0.1'),
  PORT: wholeNumber(0, 65_535).default(8080),
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'a URL such as postgresql://user:password@host:5432/database')
    .optional(),
  DATA_DIR: z.string().default('.data'),
  LOG_LEVEL: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent').default('info'),
  SHELLVISOR_ALLOW_ANONYMOUS: oneOf('yes', 'no').default('no'),
  SHELLVISOR_MAX_PARALLEL: wholeNumber(1, 100_000).default(64),
  SHELLVISOR_MAX_QUEUED: wholeNumber(0, 10_000_000).default(100_000),
  SHELLVISOR_STOP_GRACE_MS: wholeNumber(0, MAX_TIMER_MS).default(5000),
  SHELLVISOR_TIMEOUT_MS: wholeNumber(1, MAX_TIMER_MS).optional(),
  SHELLVISOR_MAX_TIMEOUT_MS: wholeNumber(1, MAX_TIMER_MS).optional(),
  SHELLVISOR_OUTPUT_LIMIT_BYTES: wholeNumber(1024, Number.MAX_SAFE_INTEGER).default(10_485_760),
  SHELLVISOR_RETENTION_AGE_S: wholeNumber(1, MAX_AGE_S).optional(),
  SHELLVISOR_RETENTION_COUNT: wholeNumber(1, Number.MAX_SAFE_INTEGER).optional(),
  SHELLVISOR_RETENTION_BYTES: wholeNumber(1, Number.MAX_SAFE_INTEGER).optional(),
  SHELLVISOR_SHUTDOWN_MS: wholeNumber(100, MAX_TIMER_MS).default(10_000),
  SHELLVISOR_CGROUPS: oneOf('auto', 'off').default('auto'),
});

/** The configuration of the server. All times are in ms. */
export interface Config {
  host: string;
  /** 0 lets the system choose a free port. */
  port: number;
  /** Undefined: an embedded PostgreSQL is started in `dataDir`. */
  databaseUrl: string | undefined;
  /** Absolute path of the folder that holds all that this server keeps outside the database. */
  dataDir: string;
  logLevel: string;
  /** How many commands run at the same time. */
  maxParallel: number;
  /** How many commands may wait for a slot. */
  maxQueued: number;
  /** From SIGTERM to SIGKILL, when a command is stopped. */
  stopGraceMs: number;
  /** How long a command may run that does not say so itself; undefined: as long as it likes. */
  timeoutMs: number | undefined;
  /** How long any command may run. */
  maxTimeoutMs: number | undefined;
  /** How many bytes of the output of a command are kept. */
  outputLimitBytes: number;
  /** What is kept of the commands that have ended. */
  retention: Retention;
  /** How long a graceful shutdown may take. */
  shutdownMs: number;
  /** Whether control groups are used where cgroup v2 is there and ours to write. */
  cgroups: boolean;
  /** The environment that scripts get their clean one from. */
  environment: Record<string, string | undefined>;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

/**
 * Reads the configuration; an empty variable counts as unset.
 * @throws StartupError naming the variable whose value can't be used.
 */
export function loadConfig(env: Record<string, string | undefined> = process.env): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const name = String(issue?.path[0]);
    // A database URL holds a password, so its value is not repeated.
    const value = name === 'DATABASE_URL' ? '' : `, not "${given[name]}"`;
    throw new StartupError(`${name} must be ${issue?.message}${value}`);
  }
  const v = parsed.data;
  if (!LOOPBACK.test(v.HOST) && v.SHELLVISOR_ALLOW_ANONYMOUS !== 'yes') {
    throw new StartupError(
      `HOST=${v.HOST} would let everyone who reaches this machine run scripts on it; ` +
        'leave HOST at 127.0.0.1, or set SHELLVISOR_ALLOW_ANONYMOUS=yes where something else guards the port',
    );
  }
  return {
    host: v.HOST,
    port: v.PORT,
    databaseUrl: v.DATABASE_URL,
    dataDir: resolve(v.DATA_DIR),
    logLevel: v.LOG_LEVEL,
    maxParallel: v.SHELLVISOR_MAX_PARALLEL,
    maxQueued: v.SHELLVISOR_MAX_QUEUED,
    stopGraceMs: v.SHELLVISOR_STOP_GRACE_MS,
    timeoutMs: v.SHELLVISOR_TIMEOUT_MS,
    maxTimeoutMs: v.SHELLVISOR_MAX_TIMEOUT_MS,
    outputLimitBytes: v.SHELLVISOR_OUTPUT_LIMIT_BYTES,
    retention: {
      age: v.SHELLVISOR_RETENTION_AGE_S,
      count: v.SHELLVISOR_RETENTION_COUNT,
      bytes: v.SHELLVISOR_RETENTION_BYTES,
    },
    shutdownMs: v.SHELLVISOR_SHUTDOWN_MS,
    cgroups: v.SHELLVISOR_CGROUPS === 'auto',
    environment: env,
  };
}
