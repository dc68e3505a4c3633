/** /api/v1/events: what becomes of all commands, for those who watch them. */
import { Readable } from 'node:stream';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { CommandEvent, CommandEvents, CommandReader } from '../ports/reader.ts';
import { watchEndings } from './ending.ts';
import { announceEvents, event, Heartbeat, preamble, StreamBody } from './event-stream.ts';
import { onDemand } from './following.ts';
import { errors, isoTime, query, tooManyStreams, unavailable } from './schemas.ts';
import type { OpenStreams } from './streams.ts';

export interface EventRoutesOptions {
  reader: CommandReader;
  streams: OpenStreams;
}

const ID = /^\d{1,15}(\.\d{1,15}){0,500}$/;

const idParameter = (name: string) =>
  z
    .string()
    .regex(ID, `${name} must be the id of an event`)
    .optional()
    .meta({ examples: ['760.759.1234'] });

export const eventRoutes: FastifyPluginAsyncZod<EventRoutesOptions> = async (app, { reader, streams }) => {
  const endingOf = watchEndings(app);
  app.get(
    '/api/v1/events',
    {
      config: { access: ['read'] },
      schema: {
        operationId: 'followEvents',
        tags: ['commands'],
        summary: 'Follow what becomes of all commands',
        description:
          'Server-Sent Events without an end: `created`, `status` and `deleted`, with `command_uuid`, `status` and `at`; ' +
          '`progress`, with `command_uuid`, `percent`, `text` and `at`: of each command the latest, at most once a second. ' +
          'At first `start`, from when on nothing is missing: look at the list now. The `id` of each is where to go on ' +
          'after it; who comes with one from so long ago that what followed is not kept any more gets `reset`: look at ' +
          'the list again.',
        querystring: query({ from: idParameter('from').describe('The `id` of the last event that came') }),
        headers: z.looseObject({
          'last-event-id': idParameter('Last-Event-ID').describe(
            'As `from`, and stronger. Clients send it by themselves when they connect again',
          ),
        }),
        response: {
          200: { description: 'What happens', content: { 'text/event-stream': { schema: StreamBody } } },
          ...errors({
            400: '`INVALID_REQUEST`: a parameter is unknown, or no id.',
            429: tooManyStreams,
            503: unavailable,
          }),
        },
      },
    },
    async (request, reply) => {
      streams.open(request, reply);
      const ending = endingOf(reply);
      const from = request.headers['last-event-id'] ?? request.query.from;
      const events = reader.events(from, ending);
      announceEvents(reply);
      if (request.method === 'HEAD') return reply.send(Readable.from([]));
      return reply.send(onDemand(textOf(events, from === undefined)));
    },
  );
};

/** @param isNew whether the client does not say where to go on: then the first batch tells it where it begins. */
async function* textOf(batches: AsyncGenerator<CommandEvents>, isNew: boolean): AsyncGenerator<string> {
  const heartbeat = new Heartbeat();
  let isFirst = isNew;
  yield preamble;
  for await (const { lost, place, events } of batches) {
    let text = '';
    if (lost) text = event('reset', place, {});
    else if (isFirst) text = event('start', place, {});
    isFirst = false;
    for (const one of events) text += eventOf(one);
    yield* text === '' ? heartbeat.beat() : [heartbeat.sent(text)];
  }
  throw new Error('the server ends, or the client is gone');
}

function eventOf({ id, uuid, status, progress, at }: CommandEvent): string {
  if (progress !== null) return event('progress', id, { command_uuid: uuid, ...progress, at: isoTime(at) });
  const name = status === null ? 'deleted' : status === 'QUEUED' ? 'created' : 'status';
  return event(name, id, { command_uuid: uuid, ...(status !== null && { status }), at: isoTime(at) });
}
