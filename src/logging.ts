/** What goes into the log: JSON lines by pino, to stderr. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import pino, { type DestinationStream, type Logger } from 'pino';
import { aroundJournal } from './around.ts';
import type { Journal } from './ports/journal.ts';
import type { Metrics } from './ports/watching.ts';

/** Nothing that we log has them; should that ever change, they are not told all the same. */
const SECRETS = ['authorization', 'secret_env', 'secretEnv', 'DATABASE_URL', 'databaseUrl', 'password', 'token'];

export function createLogger(level: string, to: DestinationStream = pino.destination(2)): Logger {
  const paths = SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);
  return pino({ level, redact: { paths, censor: '***' } }, to);
}

/** What a client may call its request, so that nothing else of it gets into logs and answers. */
const REQUEST_ID = /^[\w.:-]{1,128}$/;

/** The id of a request: the `X-Request-Id` that it came with, or a new one. */
export function requestIdOf({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}

/** Tells each request's id in its answer, and logs and counts it when it is answered: what only looks, at `debug`. */
export function registerRequestLog(app: FastifyInstance, metrics: Metrics): void {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    const { method, routeOptions, log } = request;
    const { statusCode: status, elapsedTime } = reply;
    const route = routeOptions.url ?? 'none';
    metrics.request(method, route, status, elapsedTime);
    const uuid = uuidOf(request, reply.getHeader('location'));
    // Who was refused by the head of his request is not known.
    const { name = null } = request.caller ?? {};
    const replayed = reply.hasHeader('idempotency-replayed') && { replayed: true };
    const line = {
      method,
      route,
      ...(uuid !== undefined && { uuid }),
      ...(name !== null && { by: name }),
      status,
      ms: Math.round(elapsedTime),
      ...replayed,
    };
    log[method === 'GET' || method === 'HEAD' ? 'debug' : 'info'](line, 'answered');
    done();
  });
}

/** The command that a request is about: the one that was created, or the one in its path. */
function uuidOf({ params }: FastifyRequest, location: unknown): string | undefined {
  const { uuid } = (params ?? {}) as { uuid?: string };
  return /\/commands\/([0-9a-f-]{36})$/.exec(`${location}`)?.[1] ?? uuid;
}

/** Logs the outcome of each command. */
export function logOutcomes(journal: Journal, log: Logger): Journal {
  return aroundJournal(journal, {
    async finish(uuid, outcome, endedAt) {
      await journal.finish(uuid, outcome, endedAt);
      log.info({ uuid, ...outcome }, 'command ended');
    },
  });
}
