import { resolve } from 'node:path';
import t from 'tap';
import { loadConfig } from '../src/config.ts';
import { StartupError } from '../src/errors.ts';
import { DEFAULT_LIMITS } from '../src/limits/limits.ts';

t.test('without any variable the defaults hold', async (t) => {
  t.same(loadConfig({}), {
    host: '127.0.0.1',
    port: 8080,
    socket: undefined,
    databaseUrl: undefined,
    dataDir: resolve('.data'),
    logLevel: 'info',
    token: undefined,
    tokenFile: undefined,
    allowedHosts: new Set(['127.0.0.1']),
    docs: 'public',
    ratePerMinute: undefined,
    maxParallel: 64,
    maxQueued: 100_000,
    stopGraceMs: 5000,
    timeoutMs: undefined,
    maxTimeoutMs: undefined,
    outputLimitBytes: 10_485_760,
    retention: { age: undefined, count: undefined, bytes: undefined },
    shutdownMs: 10_000,
    runAs: undefined,
    scripts: {
      dataDir: resolve('.data'),
      cgroups: true,
      sandboxAlways: false,
      maxProcesses: undefined,
      maxOpenFiles: 1024,
      socket: undefined,
    },
    maxConnections: 2000,
    maxStreams: 500,
    maxHeldBytes: 268_435_456,
    inspect: false,
    environment: {},
  });
  const { maxConnections, maxStreams, maxHeldBytes } = DEFAULT_LIMITS;
  t.match(loadConfig({}), { maxConnections, maxStreams, maxHeldBytes }, 'those of an application too');
});

t.test('every variable is read, and an empty one counts as unset', async (t) => {
  const env = {
    HOST: '::1',
    PORT: '0',
    DATABASE_URL: 'postgres://u:p@h/db',
    DATA_DIR: '/somewhere',
    LOG_LEVEL: 'debug',
    SHELLVISOR_TOKEN: 'sixteen-letters!',
    SHELLVISOR_TOKEN_FILE: '/etc/shellvisor/tokens',
    SHELLVISOR_ALLOWED_HOSTS: 'Build.example.org, [2001:db8::7]',
    SHELLVISOR_SOCKET: '/run/shellvisor.sock',
    SHELLVISOR_DOCS: 'token',
    SHELLVISOR_RATE_PER_MINUTE: '60',
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
    SHELLVISOR_MAX_PROCESSES: '500',
    SHELLVISOR_RUN_AS: 'deploy:33',
    SHELLVISOR_SANDBOX: 'always',
    SHELLVISOR_MAX_CONNECTIONS: '10',
    SHELLVISOR_MAX_STREAMS: '0',
    SHELLVISOR_MAX_HELD_BYTES: '16777216',
  };
  t.match(loadConfig(env), {
    host: '::1',
    port: 0,
    databaseUrl: 'postgres://u:p@h/db',
    dataDir: '/somewhere',
    logLevel: 'debug',
    token: 'sixteen-letters!',
    tokenFile: '/etc/shellvisor/tokens',
    allowedHosts: new Set(['build.example.org', '[2001:db8::7]', '[::1]']),
    socket: '/run/shellvisor.sock',
    docs: 'token',
    ratePerMinute: 60,
    maxParallel: 2,
    maxQueued: 0,
    stopGraceMs: 0,
    timeoutMs: 1000,
    maxTimeoutMs: 2000,
    outputLimitBytes: 1024,
    retention: { age: 2_592_000, count: 1, bytes: 2 ** 53 - 1 },
    shutdownMs: 10_000,
    runAs: 'deploy:33',
    scripts: {
      dataDir: '/somewhere',
      cgroups: true,
      sandboxAlways: true,
      maxProcesses: 500,
      maxOpenFiles: 1024,
      socket: '/run/shellvisor.sock',
    },
    maxConnections: 10,
    maxStreams: 0,
    maxHeldBytes: 16_777_216,
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
    ['SHELLVISOR_ALLOWED_HOSTS', 'http://a.test', /^SHELLVISOR_ALLOWED_HOSTS must be names such as/],
    ['SHELLVISOR_SOCKET', `/${'s'.repeat(107)}`, /^SHELLVISOR_SOCKET must be a path of at most 107 bytes/],
    [
      'SHELLVISOR_RATE_PER_MINUTE',
      '0',
      /^SHELLVISOR_RATE_PER_MINUTE must be off or a whole number from 1 to 1000000000/,
    ],
    ['SHELLVISOR_INSPECT', 'yes', /^SHELLVISOR_INSPECT must be one of 0, 1, not "yes"$/],
    ['SHELLVISOR_DOCS', 'yes', /^SHELLVISOR_DOCS must be one of public, token, off/],
    ['SHELLVISOR_RUN_AS', 'a:b:c', /^SHELLVISOR_RUN_AS must be a user, or a user and a group such as/],
    ['SHELLVISOR_MAX_OPEN_FILES', '15', /^SHELLVISOR_MAX_OPEN_FILES must be a whole number from 16 to/],
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

t.test('a token of no use is refused without being repeated', async (t) => {
  const refuse = (SHELLVISOR_TOKEN: string) => () => loadConfig({ SHELLVISOR_TOKEN });
  t.throws(refuse('secret'), { message: /^SHELLVISOR_TOKEN must be at least 16 characters long; [^"]*$/ });
  t.throws(refuse('secret of 20 letters'), {
    message: /^SHELLVISOR_TOKEN must be of ASCII characters without spaces$/,
  });
  t.throws(refuse('s'.repeat(513)), { message: /^SHELLVISOR_TOKEN must be at most 512 characters long$/ });
});

t.test(
  'an address that others reach is refused, unless a token is wanted or one says that something guards it',
  async (t) => {
    for (const HOST of ['0.0.0.0', '::', '192.168.1.7', 'example.test', '127.0.0.1.example.test', '1270.0.0.1']) {
      t.throws(() => loadConfig({ HOST }), { message: /SHELLVISOR_ALLOW_ANONYMOUS=yes/ }, HOST);
      const ways = [
        { SHELLVISOR_ALLOW_ANONYMOUS: 'yes' },
        { SHELLVISOR_TOKEN: 'sixteen-letters!' },
        { SHELLVISOR_TOKEN_FILE: '/etc/shellvisor/tokens' },
        { SHELLVISOR_SOCKET: '/run/shellvisor.sock' },
      ];
      for (const way of ways) t.equal(loadConfig({ HOST, ...way }).host, HOST);
    }
    for (const HOST of ['127.0.0.1', '127.9.9.9', 'localhost', '::1']) t.equal(loadConfig({ HOST }).host, HOST);
  },
);

t.test('what happens in the actors is shown on this machine only', async (t) => {
  t.equal(loadConfig({}).inspect, false);
  const env = { SHELLVISOR_INSPECT: '1' };
  t.equal(loadConfig(env).inspect, true);
  t.equal(loadConfig({ ...env, HOST: '0.0.0.0', SHELLVISOR_SOCKET: '/run/shellvisor.sock' }).inspect, true);
  for (const more of [{ SHELLVISOR_TOKEN: 'sixteen-letters!' }, { SHELLVISOR_ALLOW_ANONYMOUS: 'yes' }]) {
    t.throws(() => loadConfig({ ...env, HOST: '0.0.0.0', ...more }), {
      message: /^SHELLVISOR_INSPECT=1 is for debugging on this machine, and HOST=0\.0\.0\.0 lets others reach it/,
      constructor: StartupError,
    });
  }
});

t.test(
  'where others reach the server, a client may send a hundred requests a second unless one says otherwise',
  async (t) => {
    const rate = (env: Record<string, string>) =>
      loadConfig({ SHELLVISOR_ALLOW_ANONYMOUS: 'yes', ...env }).ratePerMinute;
    t.equal(rate({ HOST: '0.0.0.0' }), 6000);
    t.equal(rate({ HOST: '0.0.0.0', SHELLVISOR_RATE_PER_MINUTE: 'off' }), undefined);
    t.equal(rate({ HOST: '0.0.0.0', SHELLVISOR_SOCKET: '/run/shellvisor.sock' }), undefined);
  },
);

t.test('the server goes by the name that it listens on, but never by 0.0.0.0', async (t) => {
  const hosts = (HOST: string) => [...loadConfig({ HOST, SHELLVISOR_ALLOW_ANONYMOUS: 'yes' }).allowedHosts];
  t.same(hosts('Build.example.org'), ['build.example.org']);
  t.same(hosts('2001:DB8::7'), ['[2001:db8::7]']);
  t.same(hosts('0.0.0.0'), ['localhost']);
  t.same(hosts('::'), ['localhost']);
});
