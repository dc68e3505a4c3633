/** Sends a request as it is, and takes what comes back. */
import { type Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import type { FuzzRequest } from './generate.ts';

export interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  text: string;
}

/** How long an answer may take; streams without an end are not waited for. */
const ANSWER_MS = 60_000;

/** @param path with all its parts in place. */
export function send(
  origin: string,
  agent: Agent,
  { operation, headers, body }: FuzzRequest,
  path: string,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const length = body === undefined ? {} : { 'content-length': body.length };
  const { hostname, port } = new URL(origin);
  const outgoing = httpRequest({
    hostname,
    port,
    path,
    method: operation.method,
    agent,
    headers: { ...headers, ...length },
  });
  const timer = setTimeout(() => outgoing.destroy(new Error(`no answer within ${ANSWER_MS} ms`)), ANSWER_MS);
  outgoing.on('close', () => clearTimeout(timer));
  outgoing.on('error', reject);
  outgoing.on('response', (incoming) => {
    const { statusCode: status = 0, headers } = incoming;
    let text = '';
    incoming.setEncoding('utf8').on('data', (part) => {
      text += part;
      // Events of all commands have no end.
      if (operation.id === 'followEvents' && status === 200) {
        resolve({ status, headers, text });
        outgoing.destroy();
      }
    });
    // An output breaks off when its command is deleted meanwhile: that is how clients know.
    incoming.on('error', (error) =>
      operation.id === 'getOutput' ? resolve({ status, headers, text }) : reject(error),
    );
    incoming.on('end', () => resolve({ status, headers, text }));
  });
  outgoing.end(body);
  return promise;
}
