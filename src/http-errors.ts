/** Turns whatever goes wrong with a request into `{error, code}`; never lets SQL or a stack out. */

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { finished } from 'node:stream/promises';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { DomainError, StorageUnavailable } from './errors.ts';
import { isAnswering } from './limits/http-server.ts';
import { reasonOf } from './persistence/pool.ts';

interface Answer {
  statusCode: number;
  error: string;
  code: string;
  details?: { path: string; message: string }[];
  retryAfterSeconds?: number | undefined;
}

const BAD_URL = { statusCode: 400, error: 'the URL is not valid', code: 'BAD_URL' };

/** Errors of Fastify and Node that a client can cause: by their code, what the client is told. */
const known: Record<string, Omit<Answer, 'details'>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    statusCode: 415,
    error: 'the body must be application/json',
    code: 'UNSUPPORTED_MEDIA_TYPE',
  },
  FST_ERR_BAD_URL: BAD_URL,
  FST_ERR_MAX_PARAM_LENGTH: { statusCode: 404, error: 'there is nothing at this URL', code: 'NOT_FOUND' },
  HPE_HEADER_OVERFLOW: { statusCode: 431, error: 'the headers are too large', code: 'HEADERS_TOO_LARGE' },
  ERR_HTTP_REQUEST_TIMEOUT: { statusCode: 408, error: 'the request took too long to arrive', code: 'REQUEST_TIMEOUT' },
};

/** The body can't be read as JSON. */
export class InvalidJson extends DomainError {
  readonly code = 'INVALID_JSON';
  readonly statusCode = 400;
}

/** The target of a request is no path. */
export class BadUrl extends DomainError {
  readonly code = BAD_URL.code;
  readonly statusCode = BAD_URL.statusCode;
  constructor() {
    super(BAD_URL.error);
  }
}

/** Two programs could read a different request in it. */
export class AmbiguousRequest extends DomainError {
  readonly code = 'BAD_REQUEST';
  readonly statusCode = 400;
}

/** The body is larger than any request needs. */
export class BodyTooLarge extends DomainError {
  readonly code = 'BODY_TOO_LARGE';
  readonly statusCode = 413;
  constructor() {
    super('the body must be smaller than 11 MiB');
  }
}

/** The body is compressed, or in another character set. */
export class UnsupportedEncoding extends DomainError {
  readonly code = 'UNSUPPORTED_MEDIA_TYPE';
  readonly statusCode = 415;
  constructor() {
    super('the body must be sent as it is, in UTF-8');
  }
}

export interface ErrorOptions {
  /** Whether an error of the database is one that may pass: then the client is told to try again. */
  isStorageError: (error: unknown) => boolean;
}

/** Makes all error answers of an app. */
export function registerErrorAnswers(app: FastifyInstance, { isStorageError }: ErrorOptions): void {
  app.setNotFoundHandler((_, reply) =>
    send(reply, { statusCode: 404, error: 'there is nothing at this URL', code: 'NOT_FOUND' }),
  );
  app.setErrorHandler(async (error: FastifyError, request: FastifyRequest, reply) => {
    await discardBody(request.raw);
    // What the domain refuses is no failure: the client is told why, and may ask often.
    if (error instanceof DomainError) {
      request.log.debug({ code: error.code, reason: error.message }, 'a request was refused');
      return send(reply, answerTo(error));
    }
    if (isStorageError(error)) {
      request.log.warn({ reason: reasonOf(error) }, 'the database could not be used for a request');
      return send(reply, answerTo(new StorageUnavailable()));
    }
    const answer = answerTo(error);
    if (answer.statusCode >= 500) request.log.error({ err: error }, 'a request failed');
    return send(reply, answer);
  });
}

/** How long we read on in a body that is refused, in ms. */
const DISCARD_MS = 10_000;

/**
 * Reads a refused body to its end and forgets it. Answered earlier, a client that is still sending meets a closed
 * connection, and most then report a broken pipe and never show the answer that says what was wrong.
 */
async function discardBody(request: IncomingMessage): Promise<void> {
  if (request.complete || request.destroyed) return;
  request.resume();
  // Who takes longer, or goes away, is answered as it goes.
  await finished(request, { signal: AbortSignal.timeout(DISCARD_MS) }).catch(() => {});
}

/** Answers what never became a request, on the bare socket. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET' || isAnswering(socket)) return void socket.destroy();
  const fallback = { statusCode: 400, error: 'the request is not valid HTTP', code: 'BAD_REQUEST' };
  const { statusCode, ...body } = known[error.code ?? ''] ?? fallback;
  const text = JSON.stringify(body);
  socket.end(
    `HTTP/1.1 ${statusCode} Error\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
  );
}

/** Answers an error that Fastify meets before it has found a route. */
export function answerFrameworkError(error: FastifyError, _: FastifyRequest, reply: FastifyReply): void {
  send(reply, answerTo(error));
}

function answerTo(error: FastifyError | DomainError): Answer {
  if (error instanceof DomainError) {
    const { statusCode, message, code, retryAfterSeconds } = error;
    return { statusCode, error: message, code, retryAfterSeconds };
  }
  if (hasZodFastifySchemaValidationErrors(error)) {
    const details = error.validation.map(({ instancePath, message }) => ({
      path: instancePath.slice(1).replaceAll('/', '.'),
      message: message ?? 'is not valid',
    }));
    return {
      statusCode: 400,
      error: details[0]?.message ?? 'the request is not valid',
      code: 'INVALID_REQUEST',
      details,
    };
  }
  const answer = known[error.code];
  if (answer !== undefined) return answer;
  const { statusCode = 500 } = error;
  if (statusCode >= 400 && statusCode < 500) return { statusCode, error: error.message, code: 'BAD_REQUEST' };
  return { statusCode: 500, error: 'something went wrong in the server; its log says what', code: 'INTERNAL_ERROR' };
}

function send(reply: FastifyReply, { statusCode, retryAfterSeconds, ...body }: Answer): FastifyReply {
  if (retryAfterSeconds !== undefined) reply.header('retry-after', retryAfterSeconds);
  return reply.code(statusCode).type('application/json; charset=utf-8').serializer(JSON.stringify).send(body);
}
