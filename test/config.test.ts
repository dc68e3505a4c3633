import { resolve } from 'node:path';
import t from 'tap';
import { loadConfig } from '../src/config.ts';
import { StartupError } from '../src/errors.ts';

t.test('without any variable the defaults hold', async (t) => {
  t.same(loadConfig({}), {
    host: '127.0.0.1',
    port: 8080,
    databaseUrl: undefined,
    dataDir: resolve('.data'),
    logLevel: 'info',
    maxParallel: 64,
    maxQueued: 100_000,
    stopGraceMs: 5000,
    timeoutMs: undefined,
    maxTimeoutMs: undefined,
    outputLimitBytes: 10_485_760,
    retention: { age: undefined, count: undefined, bytes: undefined },
    shutdownMs: 10_000,
    cgroups: true,
    environment: {},
  });
});

t.test('every variable is read, and an empty one counts as unset', async (t) => {
  const env = {
    HOST: '::1',
    PORT: '0',
    DATABASE_URL: 'postgres://u:p@h/db',
    DATA_DIR: '/somewhere',
    LOG_LEVEL: 'debug',
    SHELLVISOR_MAX_PARALLEL: '2',
    SHELLVISOR_MAX_QUEUED: '0',
    SHELLVISOR_STOP_GRACE_MS: '0',
    SHELLVISOR_TIMEOUT_MS: '1000',
    SHELLVISOR_MAX_TIMEOUT_MS: '2000',
    SHELLVISOR_OUTPUT_LIMIT_BYTES: '1024',
    SHELLVISOR_RETENTION_AGE_S: '2592000',
    SHELLVISOR_RETENTION_COUNT: '1',
    SHELLVISOR_RETENTION_BYTES: '9007199254740991',
    SHELLVISOR_SHUTDOWN_MS: '',
  };
  t.match(loadConfig(env), {
    host: '::1',
    port: 0,
    databaseUrl: 'postgres://u:p@h/db',
    dataDir: '/somewhere',
    logLevel: 'debug',
    maxParallel: 2,
    maxQueued: 0,
    stopGraceMs: 0,
    timeoutMs: 1000,
    maxTimeoutMs: 2000,
    outputLimitBytes: 1024,
    retention: { age: 2_592_000, count: 1, bytes: 2 ** 53 - 1 },
    shutdownMs: 10_000,
    cgroups: true,
  });
});

t.test('a value of no use is refused with the name of its variable', async (t) => {
  for (const [name, value, message] of [
    ['PORT', '65536', 'PORT must be a whole number from 0 to 65535, not "65536"'],
    ['PORT', '8080x', 'PORT must be a whole number from 0 to 65535, not "8080x"'],
    ['SHELLVISOR_MAX_PARALLEL', '0', 'SHELLVISOR_MAX_PARALLEL must be a whole number from 1 to 100000, not "0"'],
    ['SHELLVISOR_TIMEOUT_MS', '-1', 'SHELLVISOR_TIMEOUT_MS must be a whole number from 1 to 2147483647, not "-1"'],
    ['SHELLVISOR_SHUTDOWN_MS', '99999999999', /^SHELLVISOR_SHUTDOWN_MS must be a whole number from 100 to/],
    [
      'SHELLVISOR_RETENTION_AGE_S',
      '30d',
      /^SHELLVISOR_RETENTION_AGE_S must be a whole number from 1 to 3155760000, not "30d"$/,
    ],
    ['SHELLVISOR_RETENTION_COUNT', '0', /^SHELLVISOR_RETENTION_COUNT must be a whole number from 1 to/],
    ['SHELLVISOR_RETENTION_BYTES', '1e9', /^SHELLVISOR_RETENTION_BYTES must be a whole number from 1 to/],
    ['LOG_LEVEL', 'loud', /^LOG_LEVEL must be one of fatal, error, warn, info, debug, trace, silent, not "loud"$/],
  ] as const) {
    t.throws(() => loadConfig({ [name]: value }), { message, constructor: StartupError }, `${name}=${value}`);
  }
});

t.test('a database URL that is none is refused without being repeated, for it may hold a password', async (t) => {
  const refuse = () => loadConfig({ DATABASE_URL: 'mysql://u:secret@h/db' });
  t.throws(refuse, { message: /^DATABASE_URL must be a URL such as postgresql:/ });
  t.throws(refuse, { message: /^(?!.*secret)/ });
});

t.test('an address that others reach is refused, unless one says that something guards it', async (t) => {
  for (const HOST of ['0.0.0.0', '::', '192.168.1.7', 'example.test', '127.0.0.1.example.test', '1270.0.0.1']) {
    t.throws(() => loadConfig({ HOST }), { message: /SHELLVISOR_ALLOW_ANONYMOUS=yes/ }, HOST);
    t.equal(loadConfig({ HOST, SHELLVISOR_ALLOW_ANONYMOUS: 'yes' }).host, HOST);
  }
  for (const HOST of ['127.0.0.1', '127.9.9.9', 'localhost', '::1']) t.equal(loadConfig({ HOST }).host, HOST);
});
