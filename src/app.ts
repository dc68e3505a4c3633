/** The HTTP application: validation, OpenAPI, errors, routes. */
import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import type { Access } from './access/caller.ts';
import { type GuardOptions, registerGuard } from './access/guard.ts';
import { hardenAnswers } from './access/headers.ts';
import { answerClientError, answerFrameworkError, registerErrorAnswers } from './http-errors.ts';
import { checkHeads } from './limits/heads.ts';
import { HeldBytes } from './limits/held-bytes.ts';
import { createHttpServer } from './limits/http-server.ts';
import { acceptJsonOnly } from './limits/json-body.ts';
import { DEFAULT_LIMITS, type RequestLimits } from './limits/limits.ts';
import { registerRequestLog, requestIdOf } from './logging.ts';
import { registerDocs, registerOpenApi } from './openapi.ts';
import type { Commander } from './ports/commander.ts';
import type { Nodes } from './ports/nodes.ts';
import type { CommandKeeper, CommandReader } from './ports/reader.ts';
import type { Inspection, Metrics, Readiness } from './ports/watching.ts';
import { commandRoutes } from './routes/commands.ts';
import { dashboardRoutes } from './routes/dashboard.ts';
import { eventRoutes } from './routes/events.ts';
import { inspectRoutes } from './routes/inspect.ts';
import { listRoutes } from './routes/list.ts';
import { manageRoutes } from './routes/manage.ts';
import { nodeRoutes } from './routes/nodes.ts';
import { outputRoutes } from './routes/output.ts';
import { pinRoutes } from './routes/pins.ts';
import { pruneRoutes } from './routes/prune.ts';
import { rerunRoutes } from './routes/rerun.ts';
import { statechartRoutes } from './routes/statecharts.ts';
import { OpenStreams } from './routes/streams.ts';
import { transitionRoutes } from './routes/transitions.ts';

/** Who may come in. */
export interface AccessOptions extends GuardOptions {
  /** Who may see the documentation; undefined: it is not there. */
  docs: Access | undefined;
}

export interface AppOptions {
  commander: Commander;
  reader: CommandReader;
  keeper: CommandKeeper;
  /** The servers that share the work. */
  nodes: Nodes;
  readiness: () => Promise<Readiness>;
  metrics: Metrics;
  /** Shows the actors, where that is wanted. */
  inspection?: Inspection | undefined;
  /** Whether an error of a read means that the database can't be reached at the moment. */
  isStorageError: (error: unknown) => boolean;
  access: AccessOptions;
  /** What differs from the defaults. */
  limits?: Partial<RequestLimits>;
  /** Where the dashboard was built to, if it was; undefined: there is none. */
  dashboard?: string;
  logger?: FastifyBaseLogger;
}

/**
 * Zod's, given when the application is made: those that are set later leave the default ones loaded, which takes longer than
 * all of our own modules. Fastify's types know the default ones alone.
 */
const COMPILERS = {
  buildValidator: (() => validatorCompiler) as never,
  buildSerializer: (() => serializerCompiler) as never,
};

/** Makes the application; it does not listen yet. */
export async function buildApp(given: AppOptions): Promise<FastifyInstance> {
  const limits = { ...DEFAULT_LIMITS, ...given.limits };
  const options = { ...given, streams: new OpenStreams(limits.maxStreams) };
  const app = fastify({
    ...(options.logger === undefined ? { logger: false } : { loggerInstance: options.logger }),
    serverFactory: (listener) => createHttpServer(listener, limits),
    genReqId: requestIdOf,
    logController: new LogController({ disableRequestLogging: true }),
    clientErrorHandler: answerClientError,
    frameworkErrors: answerFrameworkError,
    // During a graceful shutdown requests are answered to the end; new commands are refused by the commander.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    schemaController: { compilersFactory: COMPILERS },
  });
  const held = new HeldBytes(limits.maxHeldBytes);
  registerRequestLog(app, options.metrics);
  registerErrorAnswers(app, options);
  hardenAnswers(app);
  checkHeads(app);
  const { access } = options;
  await registerGuard(app, access);
  held.register(app);
  acceptJsonOnly(app, held);

  await registerOpenApi(app);
  if (access.docs !== undefined) await registerDocs(app, access.docs);
  await app.register(commandRoutes, options);
  await app.register(rerunRoutes, options);
  await app.register(listRoutes, options);
  await app.register(pruneRoutes, options);
  await app.register(outputRoutes, options);
  await app.register(transitionRoutes, options);
  await app.register(statechartRoutes, options);
  await app.register(pinRoutes, options);
  await app.register(eventRoutes, options);
  await app.register(manageRoutes, options);
  await app.register(nodeRoutes, options);
  await app.register(inspectRoutes, options);
  if (options.dashboard !== undefined) await app.register(dashboardRoutes, { dashboard: options.dashboard });
  return app;
}
