/** Reading the bodies of requests: JSON in UTF-8, and nothing else. */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { BodyTooLarge, InvalidJson, UnsupportedEncoding } from '../http-errors.ts';
import type { HeldBytes, Holding } from './held-bytes.ts';
import { shapeProblem } from './json-shape.ts';

/** The largest body, in bytes: a script of 10 MiB and what JSON adds to it; 11 MiB is too large. */
const BODY_LIMIT = 11 * 1024 * 1024 - 1;

/** Fastify also ships a parser for text/plain, which a page of another origin may send without asking. */
export function acceptJsonOnly(app: FastifyInstance, held: HeldBytes): void {
  app.removeAllContentTypeParsers();
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', (request, payload, done) => {
    const {
      'content-type': type = '',
      'content-encoding': coding = 'identity',
      'content-length': length,
    } = request.headers;
    if (coding !== 'identity' || /charset=(?!"?utf-8)/i.test(type)) return done(new UnsupportedEncoding());
    if (Number(length) > BODY_LIMIT) return done(new BodyTooLarge());
    readAll(payload, held.of(request), (failure, body) => {
      if (failure !== null) return done(failure);
      // Some clients announce JSON whenever a request could have a body.
      if (body.length === 0) return done(null, undefined);
      if (!isUtf8(body)) return done(new InvalidJson('the body is not valid UTF-8'));
      const problem = shapeProblem(body);
      if (problem !== undefined) return done(new InvalidJson(`the body is not valid JSON here: ${problem}`));
      parse(request, body.toString(), (error, value) => {
        if (error) done(new InvalidJson(`the body is not valid JSON: ${withoutQuote(error.message)}`));
        else done(null, value);
      });
    });
  });
}

/** Reads a body to its end, or until it is refused; what follows is left to who answers. */
function readAll(payload: IncomingMessage, holding: Holding, done: (error: Error | null, body: Buffer) => void): void {
  const chunks: Buffer[] = [];
  let length = 0;
  const end = (error: Error | null) => {
    payload.off('data', onData).off('end', onEnd).off('error', end);
    // The rest of a refused one is read as well, and not kept.
    if (error !== null) holding.release();
    done(error, Buffer.concat(error === null ? chunks : []));
  };
  const onEnd = () => end(null);
  const onData = (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length > BODY_LIMIT) return end(new BodyTooLarge());
    try {
      holding.add(chunk.length);
    } catch (error) {
      end(error as Error);
    }
  };
  payload.on('data', onData).on('end', onEnd).on('error', end);
}

/** What JSON.parse complains of, without the part of the text that it quotes: that may hold a secret. */
function withoutQuote(message: string): string {
  return message.replace(/, (\.\.\.)?".*"(\.\.\.)? is not valid JSON$/s, '');
}
