/** /api/v1/commands/:uuid/output: the bytes as they were printed. */
import { Readable } from 'node:stream';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { droppedLine, OUTPUT_PART_BYTES, type Stream } from '../command.ts';
import { CommandNotFound, RangeNotSatisfiable, StorageUnavailable } from '../errors.ts';
import type { CommandReader, OutputPart, OutputQuery, Watch } from '../ports.ts';
import { watchEndings } from './ending.ts';
import { CommandParams, errors, notFound, query, uuidOf, wholeNumber } from './schemas.ts';

export interface OutputRoutesOptions {
  reader: CommandReader;
  /** Whether an error of a read means that the database can't be reached at the moment. */
  isStorageError: (error: unknown) => boolean;
}

/**
 * How long a client may take nothing of what waits for it, in ms; then its connection is cut. Node looks at intervals of
 * this length, so it may be up to twice as long.
 */
const WRITE_MS = 30_000;
const NEWLINE = 10;

const Query = query({
  stream: z
    .enum(['stdout', 'stderr'], 'stream must be stdout or stderr')
    .optional()
    .describe('Only what it printed to this one'),
  tail: wholeNumber('tail', 0, 10_000_000).optional().describe('Only so many of the last lines'),
  follow: z
    .enum(['true', 'false'], 'follow must be true or false')
    .default('false')
    .describe('Whether to go on sending what it prints until it ends'),
});

/** Text for the client, a stream for us. */
const bytes = z.string().describe('Bytes as they were printed') as z.ZodType<unknown> as z.ZodType<Readable>;
const text = (description: string) => ({ description, content: { 'text/plain': { schema: bytes } } });

/** Reads a part of the output that is asked for. @throws CommandNotFound when the command has been deleted. */
type Read = (query: OutputQuery) => Promise<OutputPart>;

/** Which bytes are sent, by their places in all that was printed. */
interface Wanted extends OutputQuery {
  /** Whether to wait for more until the command ends. */
  follow: boolean;
}

export const outputRoutes: FastifyPluginAsyncZod<OutputRoutesOptions> = async (app, { reader, isStorageError }) => {
  const mayPass = (error: unknown) => error instanceof StorageUnavailable || isStorageError(error);
  const endingOf = watchEndings(app);

  app.get(
    '/api/v1/commands/:uuid/output',
    {
      schema: {
        operationId: 'getOutput',
        tags: ['commands'],
        summary: 'Get the output of a command, byte by byte, or follow it',
        description:
          'Shows while it runs for a durable command, when it ended for a regular one. Where bytes were dropped, because ' +
          'it printed more than is kept, there is a line such as `[… 1234 bytes dropped …]`. A `Range` of bytes is served ' +
          'of the whole output alone, and only where none of it was dropped, nor will be; otherwise it is ignored. A ' +
          'connection that ends without the end of the answer tells that there would have been more.',
        params: CommandParams,
        querystring: Query,
        response: {
          200: text('What it printed'),
          206: text('The range of it that `Range` asks for'),
          ...errors({
            400: '`INVALID_REQUEST`: a parameter is unknown or out of range.',
            ...notFound,
            416: '`RANGE_NOT_SATISFIABLE`: the output has no byte in this range; `Content-Range` says how long it is.',
          }),
        },
      },
    },
    async (request, reply) => {
      const ending = endingOf(reply);
      reply.raw.setTimeout(WRITE_MS, () => {
        // Who follows a command that prints nothing is left in peace.
        if (reply.raw.writableLength > 0) reply.raw.destroy();
      });

      const uuid = uuidOf(request.params);
      const read: Read = async (query) => {
        const part = await reader.output(uuid, query);
        if (part === null) throw new CommandNotFound();
        return part;
      };
      const { stream, tail } = request.query;
      const follow = request.query.follow === 'true';
      const now = await read({ from: 0, before: 0, stream });
      const wanted = { from: 0, before: follow ? Number.MAX_SAFE_INTEGER : now.upTo, stream, follow };
      reply.type('text/plain; charset=utf-8').header('x-content-type-options', 'nosniff');

      if (tail !== undefined) {
        wanted.from = await startOfTail(read, stream, now, tail, () => reply.raw.destroyed);
      } else if (stream === undefined && !follow && now.isFinal) {
        const { range, 'if-range': condition } = request.headers;
        const part = rangeOf(condition === undefined ? range : undefined, now.upTo);
        if (part !== undefined) {
          const isEmpty = part.from >= part.before;
          const which = isEmpty ? '*' : `${part.from}-${part.before - 1}`;
          reply.code(206).header('content-range', `bytes ${which}/${now.upTo}`);
          if (isEmpty) throw new RangeNotSatisfiable(now.upTo);
          Object.assign(wanted, part);
        }
        reply.header('accept-ranges', 'bytes').header('content-length', wanted.before - wanted.from);
      }
      // A proxy that gathers answers would keep the last lines back; a connection that is kept would outlive the shutdown.
      if (follow) reply.header('x-accel-buffering', 'no').header('connection', 'close');

      if (request.method === 'HEAD') return reply.send(Readable.from([]));
      return reply.send(Readable.from(bytesOf(read, () => reader.watch(uuid), wanted, mayPass, ending)));
    },
  );
};

/**
 * Reads and gives one part after the other; the next only when the client has taken the last one.
 * @throws when it can't go on to the end: then the connection is cut, so that the client does not take it for the end.
 */
async function* bytesOf(
  read: Read,
  startWatch: () => Watch,
  { from, before, stream, follow }: Wanted,
  mayPass: (error: unknown) => boolean,
  ending: AbortSignal,
): AsyncGenerator<Uint8Array> {
  // Before the first look, so that nothing is missed in between; in here, so that it ends in any case.
  using watch = startWatch();
  // Sends the headers: the first output may be far away.
  if (follow) yield Buffer.alloc(0);
  for (let at = from; ; ) {
    const isLast = ending.aborted;
    const part = await read({ from: at, before, stream }).catch((error) => {
      if (follow && mayPass(error)) return null;
      throw error;
    });
    if (part !== null) {
      const parts: Uint8Array[] = [];
      for (const { offset, length, bytes } of part.pieces) {
        if (offset > at) parts.push(Buffer.from(droppedLine(offset - at)));
        parts.push(bytes);
        at = offset + length;
      }
      const all = Buffer.concat(parts);
      if (all.length > 0) yield all;
      if (part.pieces.length > 0 && at < Math.min(before, part.upTo)) continue;
      if (part.ended || !follow) return;
    }
    if (isLast) throw new Error('the server ends before the command that is followed, or the client is gone');
    await watch.next(ending);
  }
}

/** Where the last lines begin. A newline at the very end ends the last line, and begins none. */
async function startOfTail(
  read: Read,
  stream: Stream | undefined,
  { upTo, gap }: OutputPart,
  lines: number,
  isGone: () => boolean,
): Promise<number> {
  let left = lines;
  let isEnd = true;
  for (let before = upTo; before > 0 && lines > 0 && !isGone(); ) {
    if (before > gap.at && before <= gap.at + gap.bytes) before = gap.at;
    const from = Math.max(0, before - OUTPUT_PART_BYTES);
    const { pieces } = await read({ from, before, stream });
    for (const { offset, bytes } of pieces.reverse()) {
      for (let i = bytes.length - 1; i >= 0; i--) {
        if (bytes[i] === NEWLINE && !isEnd && --left === 0) return offset + i + 1;
        isEnd = false;
      }
    }
    before = from;
  }
  return lines === 0 ? upTo : 0;
}

/**
 * Which bytes of an answer of this length a header `Range` asks for: none when they lie behind its end, undefined when it
 * asks for nothing that we serve, which is then ignored (RFC 9110, 14.2).
 */
function rangeOf(header: string | undefined, length: number): { from: number; before: number } | undefined {
  const [, first = '', last = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '') ?? [];
  if (first === '') return last === '' ? undefined : { from: Math.max(0, length - Number(last)), before: length };
  if (last === '') return { from: Number(first), before: length };
  if (Number(last) < Number(first)) return undefined;
  return { from: Number(first), before: Math.min(Number(last) + 1, length) };
}
