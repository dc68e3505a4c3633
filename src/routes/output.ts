/** /api/v1/commands/:uuid/output: the bytes as they were printed. */
import { Readable } from 'node:stream';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { droppedLine, OUTPUT_PART_BYTES, type Stream } from '../command.ts';
import { CommandNotFound, RangeNotSatisfiable, StorageUnavailable } from '../errors.ts';
import type { CommandReader, OutputPart } from '../ports/reader.ts';
import { watchEndings } from './ending.ts';
import { acceptsEvents, announceEvents } from './event-stream.ts';
import { onDemand, partsOf, type Read, type Source, type Wanted } from './following.ts';
import { hasSeenEnd, outputEvents, placeParameter } from './output-events.ts';
import { CommandParams, errors, notFound, query, tooManyStreams, uuidOf, wholeNumber } from './schemas.ts';
import type { OpenStreams } from './streams.ts';
import { stepsOf } from './transitions.ts';

export interface OutputRoutesOptions {
  reader: CommandReader;
  streams: OpenStreams;
  /** Whether an error of a read means that the database can't be reached at the moment. */
  isStorageError: (error: unknown) => boolean;
}

const NEWLINE = 10;

const Query = query({
  from: placeParameter('from')
    .optional()
    .describe('Only from this byte on, counted in all that it printed; for events the `id` of the last one that came'),
  stream: z
    .enum(['stdout', 'stderr'], 'stream must be stdout or stderr')
    .optional()
    .describe('Only what it printed to this one'),
  tail: wholeNumber('tail', 0, 10_000_000).optional().describe('Only so many of the last lines'),
  follow: z
    .enum(['true', 'false'], 'follow must be true or false')
    .default('false')
    .describe('Whether to go on sending what it prints until it ends; events always do'),
  steps: z
    .enum(['true', 'false'], 'steps must be true or false')
    .default('false')
    .describe('Whether events tell its steps too'),
}).refine(({ from, tail }) => from === undefined || tail === undefined, 'from and tail exclude each other');

const Headers = z.looseObject({
  'last-event-id': placeParameter('Last-Event-ID')
    .optional()
    .describe('For events: as `from`, and stronger. Clients send it by themselves when they connect again'),
});

/** Text for the client, a stream for us. */
const streamed = (what: string) => z.string().describe(what) as z.ZodType<unknown> as z.ZodType<Readable>;
const bytes = { 'text/plain': { schema: streamed('Bytes as they were printed') } };
const events = { 'text/event-stream': { schema: streamed('Server-Sent Events') } };

export const outputRoutes: FastifyPluginAsyncZod<OutputRoutesOptions> = async (
  app,
  { reader, streams, isStorageError },
) => {
  const mayPass = (error: unknown) => error instanceof StorageUnavailable || isStorageError(error);
  const endingOf = watchEndings(app);

  app.get(
    '/api/v1/commands/:uuid/output',
    {
      config: { access: ['read'] },
      schema: {
        operationId: 'getOutput',
        tags: ['commands'],
        summary: 'Get the output of a command, byte by byte, or follow it',
        description:
          'Shows while it runs for a durable command, when it ended for a regular one. Where bytes were dropped, because ' +
          'it printed more than is kept, there is a line such as `[… 1234 bytes dropped …]`. A `Range` of bytes is served ' +
          'of the whole output alone, and only where none of it was dropped, nor will be; otherwise it is ignored. A ' +
          'connection that ends without the end of the answer tells that there would have been more.\n\n' +
          'With `Accept: text/event-stream` as Server-Sent Events, until the command ends: `output` with `stream`, ' +
          '`offset` (the place of its first byte) and `text`, or `base64` where it is not UTF-8; `gap` with `offset` and ' +
          '`bytes` where some were dropped; `status` at first and whenever it changes; `progress` with `percent` and ' +
          '`text`, likewise, once the script has told any; with `steps=true` `steps`, likewise, with all `steps` so far, as ' +
          '`GET /api/v1/commands/{uuid}/transitions` has them; at last `end` with the outcome. The ' +
          '`id` of each is where to go on after it. Who comes with the `id` of `end` gets 204.',
        params: CommandParams,
        querystring: Query,
        headers: Headers,
        response: {
          200: { description: 'What it printed', content: { ...bytes, ...events } },
          204: z.undefined().describe('The client has seen the end of its events.'),
          206: { description: 'The range of it that `Range` asks for', content: bytes },
          ...errors({
            400: '`INVALID_REQUEST`: a parameter is unknown or out of range.',
            ...notFound,
            416: '`RANGE_NOT_SATISFIABLE`: the output has no byte in this range; `Content-Range` says how long it is.',
            429: tooManyStreams,
          }),
        },
      },
    },
    async (request, reply) => {
      streams.open(request, reply);
      const ending = endingOf(reply);

      const uuid = uuidOf(request.params);
      const read: Read = async (query) => {
        const part = await reader.output(uuid, query);
        if (part === null) throw new CommandNotFound();
        return part;
      };
      const readSteps = request.query.steps === 'true' ? () => stepsOf(reader, uuid) : undefined;
      const source: Source = { read, startWatch: () => reader.watch(uuid), readSteps, mayPass, ending };
      reply.header('vary', 'accept');
      const { from, stream, tail } = request.query;
      const follow = request.query.follow === 'true';
      const now = await read({ from: 0, before: 0, stream });
      const startOf = (lines: number) => startOfTail(read, stream, now, lines, () => reply.raw.destroyed);

      if (acceptsEvents(request)) {
        const place = request.headers['last-event-id'] ?? from;
        if (place !== undefined && hasSeenEnd(now, place)) return reply.code(204).send();
        announceEvents(reply);
        if (request.method === 'HEAD') return reply.send(Readable.from([]));
        const at = tail === undefined ? 0 : await startOf(tail);
        const summary = () => reader.summary(uuid);
        return reply.send(onDemand(outputEvents(source, summary, { stream }, place ?? { at, held: at })));
      }

      const wanted = { from: from?.at ?? 0, before: follow ? Number.MAX_SAFE_INTEGER : now.upTo, stream, follow };
      reply.type('text/plain; charset=utf-8');

      if (tail !== undefined) {
        wanted.from = await startOf(tail);
      } else if (from === undefined && stream === undefined && !follow && now.isFinal) {
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
      return reply.send(onDemand(bytesOf(source, wanted)));
    },
  );
};

/** The bytes of one part after the other, with a line where some are not kept. */
async function* bytesOf(source: Source, wanted: Wanted): AsyncGenerator<Uint8Array> {
  // Sends the headers: the first output may be far away.
  if (wanted.follow) yield Buffer.alloc(0);
  let at = wanted.from;
  for await (const part of partsOf(source, wanted)) {
    const chunks: Uint8Array[] = [];
    for (const { offset, length, bytes } of part?.pieces ?? []) {
      if (offset > at) chunks.push(Buffer.from(droppedLine(offset - at)));
      if (bytes.length > 0) append(chunks, bytes);
      at = offset + length;
    }
    yield* chunks;
  }
}

/** Adds bytes to the last chunk where they are its neighbours in memory already. */
function append(chunks: Uint8Array[], bytes: Uint8Array): void {
  const last = chunks.at(-1);
  if (last === undefined || last.buffer !== bytes.buffer || last.byteOffset + last.length !== bytes.byteOffset) {
    chunks.push(bytes);
  } else chunks[chunks.length - 1] = new Uint8Array(last.buffer, last.byteOffset, last.length + bytes.length);
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
