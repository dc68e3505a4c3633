/**
 * Stands before all routes: who may come in, and for what. Each route says in its `config` what it asks of a caller; with one
 * that does not say it the application does not start, so that none is left open by mistake.
 *
 * Invariants:
 * - A request is judged by its head alone. What is refused here is never parsed, and no handler sees it.
 * - Whoever loses his token, or a scope of it, loses the connections on which he is being answered too.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { ScopeMissing, TokenRequired } from '../errors.ts';
import { type Access, ANYONE, type Caller, demandScope, STRANGER } from './caller.ts';
import type { Keyring } from './keyring.ts';
import { createOriginCheck } from './origins.ts';
import { createRateLimit } from './rate-limit.ts';
import { countOf } from './raw-headers.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a caller must be allowed to do. */
    access?: Access;
  }
  interface FastifyRequest {
    /** Who has sent it. */
    caller: Caller;
  }
}

export interface GuardOptions {
  keyring: Keyring;
  /** Names that the server answers to beside those of loopback, in lower case. */
  allowedHosts: ReadonlySet<string>;
  /** How many requests a client may send in a minute; undefined: as many as he likes. */
  ratePerMinute: number | undefined;
}

/** `Bearer` and a token (RFC 6750, 2.1); the name of the scheme in any case (RFC 9110, 11.1). */
const BEARER = /^Bearer +([\x21-\x7e]{1,512})$/i;

/** Guards all routes that are registered afterwards. */
export async function registerGuard(app: FastifyInstance, options: GuardOptions): Promise<void> {
  const { keyring, allowedHosts, ratePerMinute } = options;
  const countRequest = ratePerMinute === undefined ? undefined : await createRateLimit(app, ratePerMinute);
  const checkOrigin = createOriginCheck(allowedHosts);
  const beingAnswered = new Set<FastifyRequest>();
  app.decorateRequest('caller', null as unknown as Caller);

  const routes: RouteOptions[] = [];
  app.addHook('onRoute', (route) => void routes.push(route));
  // Not earlier: of the routes of libraries the scope that they are registered in says it.
  app.addHook('onReady', async () => {
    const open = routes.find(({ config }) => config?.access === undefined);
    if (open !== undefined) throw new Error(`${open.method} ${open.url} does not say who may use it`);
  });

  app.addHook('onRequest', (request, reply, done) => {
    // Also of what has no route: a stranger learns nothing of which there are.
    const { access = ['read'] } = request.routeOptions.config;
    let refusal: Error | undefined;
    request.caller = STRANGER;
    try {
      checkOrigin(request.raw);
      request.caller = keyring.isWanted ? identify(keyring, request) : ANYONE;
      admit(request.caller, access);
    } catch (error) {
      challenge(reply, error);
      refusal = error as Error;
    }
    if (request.caller.name !== null) beingAnswered.add(request);
    // Whoever looks after the server may always ask whether it lives.
    if (countRequest === undefined || access === 'public') return done(refusal);
    // Who is refused counts too, by his address: else tokens could be tried out at full speed.
    countRequest(request).then(() => done(refusal), done);
  });
  app.addHook('onResponse', (request, _, done) => {
    beingAnswered.delete(request);
    done();
  });

  const stopWatching = keyring.watch(
    () => {
      for (const { caller, raw } of beingAnswered) if (!keyring.isCurrent(caller)) raw.socket.destroy();
      app.log.info('the file of tokens has changed and is in force');
    },
    (err) => app.log.error({ err }, 'the file of tokens has changed and can not be used; those known before stay'),
  );
  app.addHook('onClose', async () => stopWatching());
}

/** @throws TokenRequired for a token that nobody has; without any, he is a stranger. */
function identify(keyring: Keyring, { headers, raw }: FastifyRequest): Caller {
  if (headers.authorization === undefined) return STRANGER;
  const token = BEARER.exec(headers.authorization)?.[1];
  const isOne = countOf(raw, 'authorization') === 1;
  const caller = token === undefined || !isOne ? undefined : keyring.callerOf(token);
  if (caller === undefined) throw new TokenRequired(true);
  return caller;
}

/** @throws TokenRequired, ScopeMissing */
function admit(caller: Caller, access: Access): void {
  if (caller === STRANGER && access !== 'public') throw new TokenRequired(false);
  demandScope(caller, access);
}

/** Makes all routes of a scope, which libraries have registered, ask the same of a caller. */
export function guardScope(scope: FastifyInstance, access: Access): void {
  scope.addHook('onRoute', (route) => {
    route.config = { ...route.config, access };
  });
}

/** Says how to come in (RFC 6750, 3). */
function challenge(reply: FastifyReply, error: unknown): void {
  if (error instanceof TokenRequired) reply.header('www-authenticate', 'Bearer realm="shellvisor"');
  if (error instanceof ScopeMissing) {
    reply.header('www-authenticate', 'Bearer realm="shellvisor", error="insufficient_scope"');
  }
}
