/** /manage/inspect: what happens in the actors of the server, for those who debug it. */
import { Readable } from 'node:stream';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { InspectionOff } from '../errors.ts';
import type { Inspected, Inspection } from '../ports/watching.ts';
import { watchEndings } from './ending.ts';
import { announceEvents, event, Heartbeat, preamble, StreamBody } from './event-stream.ts';
import { onDemand } from './following.ts';
import { errors, isoTime, tooManyStreams } from './schemas.ts';
import type { OpenStreams } from './streams.ts';

export interface InspectRoutesOptions {
  /** Undefined: the server was not started for that. */
  inspection?: Inspection | undefined;
  streams: OpenStreams;
}

export const inspectRoutes: FastifyPluginAsyncZod<InspectRoutesOptions> = async (app, { inspection, streams }) => {
  const endingOf = watchEndings(app);
  app.get(
    '/manage/inspect',
    {
      config: { access: ['admin'] },
      schema: {
        operationId: 'inspect',
        tags: ['manage'],
        summary: 'Follow what happens in the actors of the server',
        description:
          'For debugging, where `SHELLVISOR_INSPECT=1` is set. Server-Sent Events without an end. At first `start`, then an ' +
          '`actor` for each that lives, but for commands that wait; then `actor` when one is created, `event` when one gets ' +
          'an event, `snapshot` with its `state` and `status` after it. All have `actor`, an id of their own in this server; ' +
          '`name`: `supervisor`, the uuid of a command, or what that has invoked; `parent`, the `actor` that created it; and ' +
          '`at`. `event` is named as XState does, `source` is the `actor` that sent it, null when it came from outside. ' +
          'What events carry and actors keep is not told. Who is more than 20000 events behind is cut off.',
        response: {
          200: { description: 'What happens', content: { 'text/event-stream': { schema: StreamBody } } },
          ...errors({
            404: '`INSPECTION_OFF`: the server was not started with `SHELLVISOR_INSPECT=1`.',
            429: tooManyStreams,
          }),
        },
      },
    },
    async (request, reply) => {
      if (inspection === undefined) throw new InspectionOff();
      streams.open(request, reply);
      announceEvents(reply);
      if (request.method === 'HEAD') return reply.send(Readable.from([]));
      return reply.send(onDemand(textOf(inspection.follow(endingOf(reply)))));
    },
  );
};

async function* textOf(batches: AsyncGenerator<Inspected[]>): AsyncGenerator<string> {
  const heartbeat = new Heartbeat();
  let id = 0;
  yield `${preamble}${event('start', `${id}`, {})}`;
  for await (const batch of batches) {
    let text = '';
    for (const { type, at, ...rest } of batch) text += event(type, `${++id}`, { ...rest, at: isoTime(at) });
    yield* text === '' ? heartbeat.beat() : [heartbeat.sent(text)];
  }
  throw new Error('the server ends, or the client is gone');
}
