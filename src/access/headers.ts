/** What answers tell browsers not to do with them. */
import helmet, { type FastifyHelmetOptions } from '@fastify/helmet';
import type { FastifyInstance } from 'fastify';

/**
 * For answers that are no pages. What a script has printed comes as it is: a browser must not take it for a page of ours,
 * nor let another page have it.
 */
const HEADERS = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
};

export function hardenAnswers(app: FastifyInstance): void {
  app.addHook('onRequest', (_, reply, done) => {
    reply.headers(HEADERS);
    done();
  });
}

/** For pages, which get all that they need from this server. @param styles hashes of styles that a page has in itself. */
const policyFor = (styles: readonly string[]): FastifyHelmetOptions => ({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      'default-src': ["'none'"],
      'base-uri': ["'none'"],
      'connect-src': ["'self'"],
      'font-src': ["'self'"],
      'form-action': ["'none'"],
      'frame-ancestors': ["'none'"],
      'img-src': ["'self'", 'data:'],
      'script-src': ["'self'"],
      'style-src': ["'self'", ...styles.map((hash) => `'${hash}'`)],
    },
  },
  frameguard: { action: 'deny' },
  // Whether the whole host is to be reached by TLS only is for whoever ends TLS in front of us to say.
  strictTransportSecurity: false,
});

/** Hardens what is registered in the same scope as pages. @param styles such as `sha256-…`. */
export async function hardenPages(scope: FastifyInstance, styles: readonly string[] = []): Promise<void> {
  scope.addHook('onRequest', (_, reply, done) => {
    for (const name of Object.keys(HEADERS)) reply.removeHeader(name);
    done();
  });
  await scope.register(helmet, policyFor(styles));
}
