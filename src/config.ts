/** The configuration, read from the environment. The only file that reads `process.env`. */
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { z } from 'zod';
import { MAX_TIMER_MS, type Retention } from './command.ts';
import { StartupError } from './errors.ts';
import type { ScriptsConfig } from './ports/process.ts';
import { NODE_LABEL } from './run-options.ts';

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

/** A name or address as it stands in a Host header, without the port. */
const HOST_NAME = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)$/;

/** What fits into a socket address with the NUL at its end (unix(7): 108 bytes). */
const SOCKET_PATH_MAX_BYTES = 107;

/** Guessed in years, at the thousands a second that we answer, if it was taken at random. */
const TOKEN_MIN_CHARACTERS = 16;

/** What a caller may send in a minute, where others than this machine reach the server: a hundred a second. */
const RATE_PER_MINUTE = 6000;

const schema = z.object({
  HOST: z.string().default('127.0.0.1'),
  PORT: wholeNumber(0, 65_535).default(8080),
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'a URL such as postgresql://user:password@host:5432/database')
    .optional(),
  DATA_DIR: z.string().default('.data'),
  LOG_LEVEL: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent').default('info'),
  SHELLVISOR_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'of ASCII characters without spaces')
    .min(TOKEN_MIN_CHARACTERS, `at least ${TOKEN_MIN_CHARACTERS} characters long; shellvisor token new makes good ones`)
    .max(512, 'at most 512 characters long')
    .optional(),
  SHELLVISOR_TOKEN_FILE: z.string().optional(),
  SHELLVISOR_ALLOW_ANONYMOUS: oneOf('yes', 'no').default('no'),
  SHELLVISOR_ALLOWED_HOSTS: z
    .string()
    .transform((text) =>
      text
        .toLowerCase()
        .split(/[\s,]+/)
        .filter((name) => name !== ''),
    )
    .refine(
      (names) => names.every((name) => HOST_NAME.test(name)),
      'names such as build.example.org, without ports, with commas between them',
    )
    .optional(),
  SHELLVISOR_SOCKET: z
    .string()
    .refine(
      (path) => Buffer.byteLength(resolve(path)) <= SOCKET_PATH_MAX_BYTES,
      `a path of at most ${SOCKET_PATH_MAX_BYTES} bytes`,
    )
    .optional(),
  SHELLVISOR_DOCS: oneOf('public', 'token', 'off').default('public'),
  SHELLVISOR_RATE_PER_MINUTE: z
    .union([z.literal('off'), wholeNumber(1, 1_000_000_000)], 'off or a whole number from 1 to 1000000000')
    .optional(),
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
  SHELLVISOR_RUN_AS: z
    .string()
    .regex(/^[^:\s]+(:[^:\s]+)?$/, 'a user, or a user and a group such as deploy:www-data, by names or numbers')
    .optional(),
  SHELLVISOR_MAX_PROCESSES: wholeNumber(1, 4_194_304).optional(),
  SHELLVISOR_MAX_OPEN_FILES: wholeNumber(16, 2_147_483_584).default(1024),
  SHELLVISOR_SANDBOX: oneOf('asked', 'always').default('asked'),
  SHELLVISOR_CGROUPS: oneOf('auto', 'off').default('auto'),
  SHELLVISOR_MAX_CONNECTIONS: wholeNumber(1, 1_000_000).default(2000),
  SHELLVISOR_MAX_STREAMS: wholeNumber(0, 1_000_000).default(500),
  SHELLVISOR_MAX_HELD_BYTES: wholeNumber(16_777_216, Number.MAX_SAFE_INTEGER).default(268_435_456),
  SHELLVISOR_INSPECT: oneOf('0', '1').default('0'),
  SHELLVISOR_CLUSTER: oneOf('on', 'off').default('off'),
  SHELLVISOR_NODE_NAME: z
    .string()
    .regex(/^[\x21-\x7e]{1,100}$/, '1 to 100 ASCII characters without spaces')
    .optional(),
  SHELLVISOR_NODE_LABELS: z
    .string()
    .transform((text) => text.split(/[\s,]+/).filter((label) => label !== ''))
    .refine(
      (labels) => labels.every((label) => NODE_LABEL.test(label)),
      'labels such as gpu,large with commas between them, each of 1 to 63 letters, digits, dots, dashes and underscores',
    )
    .optional(),
  SHELLVISOR_CLUSTER_MAX_PARALLEL: wholeNumber(1, 1_000_000).optional(),
  SHELLVISOR_NODE_LOST_MS: wholeNumber(5000, 3_600_000).default(20_000),
});

/** What a server is in a cluster. */
export interface ClusterConfig {
  /** What people call it. */
  name: string;
  /** Of which kinds it is. */
  labels: readonly string[];
  /** How many commands all nodes may run together; undefined: as many as they have slots. */
  maxParallel: number | undefined;
  /** After how long without a sign of life a node counts as lost. */
  lostMs: number;
}

/** The configuration of the server. All times are in ms. */
export interface Config {
  host: string;
  /** Absolute path of a Unix socket to listen on instead of a port; undefined: none. */
  socket: string | undefined;
  /** 0 lets the system choose a free port. */
  port: number;
  /** Undefined: an embedded PostgreSQL is started in `dataDir`. */
  databaseUrl: string | undefined;
  /** Absolute path of the folder that holds all that this server keeps outside the database. */
  dataDir: string;
  logLevel: string;
  /** A token that may do everything. */
  token: string | undefined;
  /** Absolute path of a file of tokens. */
  tokenFile: string | undefined;
  /** Names that the server answers to beside those of loopback, in lower case, IPv6 addresses in brackets. */
  allowedHosts: ReadonlySet<string>;
  /** Who may see the documentation at /docs. */
  docs: 'public' | 'token' | 'off';
  /** How many requests a caller may send in a minute; undefined: as many as he likes. */
  ratePerMinute: number | undefined;
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
  /** The user that scripts run as, perhaps with its group; undefined: that of the server. */
  runAs: string | undefined;
  scripts: ScriptsConfig;
  /** How many connections may be open at once. */
  maxConnections: number;
  /** How many streams and waits a client may have open at once. */
  maxStreams: number;
  /** How many bytes large requests and answers may take together. */
  maxHeldBytes: number;
  /** Undefined: it shares its work with no other server. */
  cluster: ClusterConfig | undefined;
  /** Whether those who may do everything can follow what happens in the actors. */
  inspect: boolean;
  /** The environment that scripts get their clean one from. */
  environment: Record<string, string | undefined>;
}

/** What is not repeated when something is wrong with it: a database URL holds a password. */
const SECRETS = ['DATABASE_URL', 'SHELLVISOR_TOKEN'];

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
    const value = SECRETS.includes(name) ? '' : `, not "${given[name]}"`;
    throw new StartupError(`${name} must be ${issue?.message}${value}`);
  }
  const v = parsed.data;
  const isLocal = v.SHELLVISOR_SOCKET !== undefined || LOOPBACK.test(v.HOST);
  const wantsToken = v.SHELLVISOR_TOKEN !== undefined || v.SHELLVISOR_TOKEN_FILE !== undefined;
  if (!isLocal && !wantsToken && v.SHELLVISOR_ALLOW_ANONYMOUS !== 'yes') {
    throw new StartupError(
      `HOST=${v.HOST} would let everyone who reaches this machine run scripts on it; leave HOST at 127.0.0.1, ` +
        'set SHELLVISOR_TOKEN or SHELLVISOR_TOKEN_FILE, ' +
        'or SHELLVISOR_ALLOW_ANONYMOUS=yes where something else guards the port',
    );
  }
  if (!isLocal && v.SHELLVISOR_INSPECT === '1') {
    throw new StartupError(
      `SHELLVISOR_INSPECT=1 is for debugging on this machine, and HOST=${v.HOST} lets others reach it; ` +
        'leave HOST at 127.0.0.1, or SHELLVISOR_INSPECT unset',
    );
  }
  const { SHELLVISOR_RATE_PER_MINUTE: rate = isLocal ? 'off' : RATE_PER_MINUTE } = v;
  return {
    host: v.HOST,
    socket: optionalPath(v.SHELLVISOR_SOCKET),
    port: v.PORT,
    token: v.SHELLVISOR_TOKEN,
    tokenFile: optionalPath(v.SHELLVISOR_TOKEN_FILE),
    allowedHosts: new Set([...(v.SHELLVISOR_ALLOWED_HOSTS ?? []), hostHeaderOf(v.HOST)]),
    docs: v.SHELLVISOR_DOCS,
    ratePerMinute: rate === 'off' ? undefined : rate,
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
    runAs: v.SHELLVISOR_RUN_AS,
    scripts: {
      dataDir: resolve(v.DATA_DIR),
      sandboxAlways: v.SHELLVISOR_SANDBOX === 'always',
      cgroups: v.SHELLVISOR_CGROUPS === 'auto',
      maxProcesses: v.SHELLVISOR_MAX_PROCESSES,
      maxOpenFiles: v.SHELLVISOR_MAX_OPEN_FILES,
      socket: optionalPath(v.SHELLVISOR_SOCKET),
    },
    maxConnections: v.SHELLVISOR_MAX_CONNECTIONS,
    maxStreams: v.SHELLVISOR_MAX_STREAMS,
    maxHeldBytes: v.SHELLVISOR_MAX_HELD_BYTES,
    cluster: v.SHELLVISOR_CLUSTER === 'off' ? undefined : clusterOf(v),
    inspect: v.SHELLVISOR_INSPECT === '1',
    environment: env,
  };
}

function clusterOf(v: z.infer<typeof schema>): ClusterConfig {
  if (v.DATABASE_URL === undefined) {
    throw new StartupError(
      'SHELLVISOR_CLUSTER=on wants DATABASE_URL, the database that all nodes share; the embedded PostgreSQL serves one server',
    );
  }
  return {
    name: v.SHELLVISOR_NODE_NAME ?? hostname(),
    labels: [...new Set(v.SHELLVISOR_NODE_LABELS)],
    maxParallel: v.SHELLVISOR_CLUSTER_MAX_PARALLEL,
    lostMs: v.SHELLVISOR_NODE_LOST_MS,
  };
}

const optionalPath = (path: string | undefined) => (path === undefined ? undefined : resolve(path));

/** An address to listen on as it stands in a Host header. `0.0.0.0` means all of them, and is the name of none. */
function hostHeaderOf(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost';
  return host.includes(':') ? `[${host.toLowerCase()}]` : host.toLowerCase();
}
