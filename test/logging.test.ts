import fastify, { type FastifyBaseLogger, LogController } from 'fastify';
import t, { type Test } from 'tap';
import { ANYONE, type Caller } from '../src/access/caller.ts';
import type { Outcome } from '../src/command.ts';
import { createLogger, logOutcomes, registerRequestLog, requestIdOf } from '../src/logging.ts';
import type { Journal } from '../src/ports/journal.ts';

/** A logger that keeps its lines. */
function keptLogger(level: string) {
  const lines: Record<string, unknown>[] = [];
  return { lines, log: createLogger(level, { write: (line) => lines.push(JSON.parse(line)) }) };
}

const uuid = '00000000-0000-4000-8000-000000000001';

/** An app whose answers don't matter. */
async function loggedApp(t: Test, level: string, caller?: Caller) {
  const { lines, log } = keptLogger(level);
  const counted: unknown[][] = [];
  const logger: FastifyBaseLogger = log;
  const logController = new LogController({ disableRequestLogging: true });
  const app = fastify({ loggerInstance: logger, genReqId: requestIdOf, logController });
  registerRequestLog(app, {
    contentType: '',
    text: async () => '',
    request: (method, route, status) => counted.push([method, route, status]),
  });
  app.decorateRequest('caller', { getter: () => caller as Caller });
  app.post('/api/v1/commands', async (_, reply) =>
    reply.code(201).header('location', `/api/v1/commands/${uuid}`).send(),
  );
  app.post('/api/v1/commands/:uuid/rerun', async (_, reply) =>
    reply.code(201).header('location', `/api/v1/commands/${uuid}`).header('idempotency-replayed', 'true').send(),
  );
  app.get('/api/v1/commands/:uuid', async () => ({}));
  t.teardown(() => app.close());
  return { app, lines, counted };
}

t.test('a request that changes something is logged with its id and its command', async (t) => {
  const { app, lines, counted } = await loggedApp(t, 'info');
  const answer = await app.inject({ method: 'POST', url: '/api/v1/commands' });
  await app.inject({ url: `/api/v1/commands/${uuid}` });
  await app.inject({ url: '/nowhere' });
  t.match(lines, [
    { level: 30, reqId: answer.headers['x-request-id'], method: 'POST', route: '/api/v1/commands', uuid, status: 201 },
  ]);
  t.equal(lines.length, 1, 'what only looks is not logged');
  t.same(counted, [
    ['POST', '/api/v1/commands', 201],
    ['GET', '/api/v1/commands/:uuid', 200],
    ['GET', 'none', 404],
  ]);
});

t.test('who has sent a request is logged by name, where there is one', async (t) => {
  for (const caller of [{ ...ANYONE, name: 'ann' }, ANYONE, undefined]) {
    const { app, lines } = await loggedApp(t, 'info', caller);
    await app.inject({ method: 'POST', url: '/api/v1/commands' });
    t.same(
      lines.map((line) => line.by),
      [caller?.name ?? undefined],
    );
  }
});

t.test('a rerun is logged with the command that it has created, and a replay as what it is', async (t) => {
  const { app, lines } = await loggedApp(t, 'info');
  await app.inject({ method: 'POST', url: '/api/v1/commands' });
  await app.inject({ method: 'POST', url: '/api/v1/commands/00000000-0000-4000-8000-000000000002/rerun' });
  t.match(lines, [
    { route: '/api/v1/commands', uuid, replayed: undefined },
    { route: '/api/v1/commands/:uuid/rerun', uuid, replayed: true },
  ]);
});

t.test('what only looks is logged at debug', async (t) => {
  const { app, lines } = await loggedApp(t, 'debug');
  await app.inject({ url: `/api/v1/commands/${uuid}` });
  t.match(lines, [{ level: 20, method: 'GET', route: '/api/v1/commands/:uuid', uuid, status: 200 }]);
});

t.test('a request keeps the id that its client gave it, unless that is no name', async (t) => {
  const { app } = await loggedApp(t, 'silent');
  const idOf = async (id: string) =>
    (await app.inject({ url: '/nowhere', headers: { 'x-request-id': id } })).headers['x-request-id'];
  t.equal(await idOf('from-nginx:42'), 'from-nginx:42');
  for (const bad of ['', 'a b', '<script>', 'x'.repeat(129)]) t.match(await idOf(bad), /^[0-9a-f-]{36}$/, bad);
});

t.test('what a secret may stand in is not logged', async (t) => {
  const { log, lines } = keptLogger('trace');
  log.info({ req: { headers: { authorization: 'Bearer abc' } }, secret_env: { A: 'abc' }, config: { token: 'abc' } });
  t.match(lines, [{ req: { headers: { authorization: '***' } }, secret_env: '***', config: { token: '***' } }]);
});

t.test('the outcome of a command is logged once it is stored', async (t) => {
  const { log, lines } = keptLogger('info');
  const stored = Promise.withResolvers<void>();
  const journal = logOutcomes({ finish: () => stored.promise } as unknown as Journal, log);
  const outcome: Outcome = {
    status: 'FAILED',
    reason: 'exit',
    exitCode: 3,
    signal: null,
    error: null,
    durationMs: 7,
    stoppedBy: 'ann',
  };
  const finished = journal.finish(uuid, outcome, new Date());
  t.same(lines, []);
  stored.resolve();
  await finished;
  t.match(lines, [
    { msg: 'command ended', uuid, status: 'FAILED', reason: 'exit', exitCode: 3, durationMs: 7, stoppedBy: 'ann' },
  ]);
});
