/** The HTTP server of Node with bounds to all that a client sends before there is a request, and to how often it does. */
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** The line of the request and all its headers together; Node answers more with 431. */
const HEAD_MAX_BYTES = 16 * 1024;
/** How many requests of one connection may be without an answer; one more ends it. */
const PIPELINED_MAX = 100;
/** Between two requests. Longer than proxies keep a connection, so that it is them who close it. */
const KEEP_ALIVE_MS = 72_000;

/**
 * How long a client may take nothing of what waits for it, in ms; then its connection is cut. Node looks at intervals of
 * this length, so it may be up to twice as long.
 */
const WRITE_MS = 30_000;

/** Bounds of a server; times in ms. */
export interface ServerLimits {
  /** How many connections may be open; one more is closed at once. */
  maxConnections: number;
  /** How long the headers of a request may take to arrive... */
  headersMs: number;
  /** ...and the whole request: enough for a script of 10 MiB over a slow line. */
  requestMs: number;
  /** How often that is looked at. */
  checkMs: number;
}

export function createHttpServer(
  listener: RequestListener,
  { maxConnections, headersMs, requestMs, checkMs }: ServerLimits,
): Server {
  const server = createServer(
    {
      maxHeaderSize: HEAD_MAX_BYTES,
      headersTimeout: headersMs,
      requestTimeout: requestMs,
      connectionsCheckingInterval: checkMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    watched(listener),
  );
  server.maxConnections = maxConnections;
  // Node would leave out those beyond it, and say nothing.
  server.maxHeadersCount = 0;
  return server;
}

/** The answers of each connection that are not closed yet. */
const open = new WeakMap<Socket, Set<ServerResponse>>();

/** Whether a connection is in the middle of an answer. */
export function isAnswering(socket: Socket): boolean {
  const answers = open.get(socket) ?? new Set();
  return [...answers].some(({ headersSent }) => headersSent);
}

/**
 * Passes on requests of which their connection has not too many without an answer; else it is cut. One packet may hold
 * a thousand: so this is done before anything else is. Cut is also who takes nothing of an answer.
 */
function watched(listener: RequestListener): RequestListener {
  return (request, response) => {
    const { socket } = request;
    const answers = open.get(socket) ?? new Set();
    if (socket.destroyed || answers.size === PIPELINED_MAX) return void socket.destroy();
    open.set(socket, answers.add(response));
    response.once('close', () => answers.delete(response));
    response.setTimeout(WRITE_MS, () => {
      // Who waits, or follows a command that prints nothing, is left in peace.
      if (response.writableLength > 0) response.destroy();
    });
    listener(request, response);
  };
}
