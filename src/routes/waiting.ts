/** Waiting for the end of a command before its request is answered. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { CommandReader } from '../ports/reader.ts';
import { wholeNumber } from './schemas.ts';
import type { OpenStreams } from './streams.ts';

/** How long a client may wait, in seconds. */
const WAIT_MAX_S = 300;

/** Of a query string; what else is in there was never looked at, and is not now. */
export const WaitQuery = z.object({
  wait: wholeNumber('wait', 0, WAIT_MAX_S)
    .optional()
    .describe('For how many seconds to wait for its end; the header `Prefer: wait=…` asks for the same'),
});

/**
 * How long a client wants to wait, in ms: what its query says, else its header `Prefer` (RFC 7240). What the header asks
 * for is a wish: more than we allow becomes as much as we do, and what is no number is ignored.
 */
function waitOf(request: FastifyRequest, { wait }: z.output<typeof WaitQuery>, reply: FastifyReply): number {
  if (wait !== undefined) return wait * 1000;
  const preferences = [request.headers.prefer ?? []].flat().join();
  const [, preferred] = /(?:^|,)\s*wait\s*=\s*"?(\d+)/i.exec(preferences) ?? [];
  if (preferred === undefined) return 0;
  const seconds = Math.min(Number(preferred), WAIT_MAX_S);
  reply.header('preference-applied', `wait=${seconds}`);
  return seconds * 1000;
}

export type WaitingRequest = FastifyRequest & { query: z.output<typeof WaitQuery> };

/** How long a client is to wait, in ms, counted among its open streams. @throws TooManyStreams */
export function openWait(streams: OpenStreams, request: WaitingRequest, reply: FastifyReply): number {
  const ms = waitOf(request, request.query, reply);
  if (ms > 0) streams.open(request, reply);
  return ms;
}

/** Resolves when a command has ended, or is not there; when the time is over, or `ending` aborts, whatever it does. */
export async function untilEnded(reader: CommandReader, uuid: string, ms: number, ending: AbortSignal): Promise<void> {
  if (ms === 0) return;
  const over = new AbortController();
  const abort = () => over.abort();
  const timer = setTimeout(abort, ms);
  ending.addEventListener('abort', abort);
  try {
    using watch = reader.watch(uuid);
    while (!over.signal.aborted && !ending.aborted) {
      const status = await reader.statusOf(uuid);
      if (status !== 'QUEUED' && status !== 'EXECUTING') return;
      await watch.next(over.signal);
    }
  } finally {
    clearTimeout(timer);
    ending.removeEventListener('abort', abort);
  }
}
