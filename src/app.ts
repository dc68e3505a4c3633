/** The HTTP application: validation, OpenAPI, errors, routes. */
import { isUtf8 } from 'node:buffer';
import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import type { Access } from './access/caller.ts';
import { type GuardOptions, registerGuard } from './access/guard.ts';
import { hardenAnswers } from './access/headers.ts';
import { limitRate } from './access/rate-limit.ts';
import {
  answerClientError,
  answerFrameworkError,
  InvalidJson,
  registerErrorAnswers,
  UnsupportedEncoding,
} from './http-errors.ts';
import { registerRequestLog, requestIdOf } from './logging.ts';
import { registerDocs, registerOpenApi } from './openapi.ts';
import type { Commander, CommandKeeper, CommandReader, Metrics, Readiness } from './ports.ts';
import { commandRoutes } from './routes/commands.ts';
import { eventRoutes } from './routes/events.ts';
import { listRoutes } from './routes/list.ts';
import { manageRoutes } from './routes/manage.ts';
import { outputRoutes } from './routes/output.ts';
import { pinRoutes } from './routes/pins.ts';
import { pruneRoutes } from './routes/prune.ts';
import { rerunRoutes } from './routes/rerun.ts';
import { transitionRoutes } from './routes/transitions.ts';

/** The largest body, in bytes: a script of 10 MiB and what JSON adds to it; 11 MiB is too large. */
const BODY_LIMIT = 11 * 1024 * 1024 - 1;

/** Who may come in. */
export interface AccessOptions extends GuardOptions {
  /** Who may see the documentation; undefined: it is not there. */
  docs: Access | undefined;
  /** How many requests a caller may send in a minute; undefined: as many as he likes. */
  ratePerMinute: number | undefined;
}

export interface AppOptions {
  commander: Commander;
  reader: CommandReader;
  keeper: CommandKeeper;
  readiness: () => Promise<Readiness>;
  metrics: Metrics;
  /** Whether an error of a read means that the database can't be reached at the moment. */
  isStorageError: (error: unknown) => boolean;
  access: AccessOptions;
  logger?: FastifyBaseLogger;
}

/** Makes the application; it does not listen yet. */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const app = fastify({
    ...(options.logger === undefined ? { logger: false } : { loggerInstance: options.logger }),
    bodyLimit: BODY_LIMIT,
    // Fastify's default is none. What Node's is: enough for a script of 10 MiB over a slow line.
    requestTimeout: 300_000,
    genReqId: requestIdOf,
    logController: new LogController({ disableRequestLogging: true }),
    clientErrorHandler: answerClientError,
    frameworkErrors: answerFrameworkError,
    // During a graceful shutdown requests are answered to the end; new commands are refused by the commander.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  acceptJsonOnly(app);
  registerRequestLog(app, options.metrics);
  registerErrorAnswers(app, options);
  hardenAnswers(app);
  const { access } = options;
  registerGuard(app, access);
  if (access.ratePerMinute !== undefined) await limitRate(app, access.ratePerMinute);

  await registerOpenApi(app);
  if (access.docs !== undefined) await registerDocs(app, access.docs);
  await app.register(commandRoutes, options);
  await app.register(rerunRoutes, options);
  await app.register(listRoutes, options);
  await app.register(pruneRoutes, options);
  await app.register(outputRoutes, options);
  await app.register(transitionRoutes, options);
  await app.register(pinRoutes, options);
  await app.register(eventRoutes, options);
  await app.register(manageRoutes, options);
  return app;
}

/** Fastify also ships a parser for text/plain, which a page of another origin may send without asking. */
function acceptJsonOnly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    const { 'content-type': type = '', 'content-encoding': coding = 'identity' } = request.headers;
    if (coding !== 'identity' || /charset=(?!"?utf-8)/i.test(type)) return done(new UnsupportedEncoding());
    // Some clients announce JSON whenever a request could have a body.
    if (body.length === 0) return done(null, undefined);
    if (!isUtf8(body)) return done(new InvalidJson('the body is not valid UTF-8'));
    parse(request, body.toString(), (error, value) => {
      if (error) done(new InvalidJson(`the body is not valid JSON: ${withoutQuote(error.message)}`));
      else done(null, value);
    });
  });
}

/** What JSON.parse complains of, without the part of the text that it quotes: that may hold a secret. */
function withoutQuote(message: string): string {
  return message.replace(/, (\.\.\.)?".*"(\.\.\.)? is not valid JSON$/s, '');
}
