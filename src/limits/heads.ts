/** What a request may look like before anything is done for it. */
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { countOf } from '../access/raw-headers.ts';
import { type DomainError, HeadersTooLarge, UrlTooLong } from '../errors.ts';
import { AmbiguousRequest, BadUrl } from '../http-errors.ts';

const HEADERS_MAX = 100;
const URL_MAX_CHARACTERS = 8192;
/** Node takes the first of several; who stands before us may have gone by another. */
const ONCE = ['content-type', 'content-encoding', 'transfer-encoding'];

/** Refuses requests that could be read in two ways, or whose head is out of bounds. */
export function checkHeads(app: FastifyInstance): void {
  app.addHook('onRequest', ({ raw }, reply, done) => {
    const problem = problemOf(raw);
    if (problem === undefined) return done();
    // What follows is perhaps not what its sender takes for the next request.
    reply.header('connection', 'close');
    done(problem);
  });
}

function problemOf(request: IncomingMessage): DomainError | undefined {
  const { rawHeaders, headers, url = '', httpVersion } = request;
  if (rawHeaders.length / 2 > HEADERS_MAX) return new HeadersTooLarge(HEADERS_MAX);
  if (url.length > URL_MAX_CHARACTERS) return new UrlTooLong(URL_MAX_CHARACTERS);
  if (!url.startsWith('/') && url !== '*') return new BadUrl();
  if (httpVersion === '0.9') return new AmbiguousRequest('the request must be HTTP/1.1');
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && (coding.toLowerCase() !== 'chunked' || httpVersion !== '1.1')) {
    return new AmbiguousRequest('Transfer-Encoding must be chunked, in HTTP/1.1');
  }
  const twice = ONCE.find((name) => countOf(request, name) > 1);
  return twice === undefined ? undefined : new AmbiguousRequest(`${twice} must be given once`);
}
