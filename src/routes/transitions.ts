/** /api/v1/commands/:uuid/transitions: the path that a command took through its statechart. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { CommandNotFound } from '../errors.ts';
import type { CommandReader } from '../ports/reader.ts';
import { CommandParams, errors, notFound, uuidOf } from './schemas.ts';

export interface TransitionRoutesOptions {
  reader: CommandReader;
}

export const TransitionBody = z
  .object({
    from: z
      .string()
      .nullable()
      .describe(
        'The state it left, such as `executing.running`; null when its machine began, at first or under a later server',
      )
      .meta({ examples: ['queued'] }),
    event: z
      .string()
      .describe('What made it, in the words of the statechart; `lost` when nobody was left to take a step')
      .meta({ examples: ['start'] }),
    to: z
      .string()
      .describe('The state it entered')
      .meta({ examples: ['executing.starting'] }),
    at: z.iso.datetime().describe('When'),
    until: z.iso
      .datetime()
      .optional()
      .describe(
        'When that state ends by itself: the grace of a stop in `executing.terminating`, the timeout in ' +
          '`executing.running`; not there where no time runs',
      ),
  })
  .meta({ id: 'Transition' });

/** The steps of a command. @throws CommandNotFound */
export async function stepsOf(reader: CommandReader, uuid: string): Promise<z.input<typeof TransitionBody>[]> {
  const transitions = await reader.transitions(uuid);
  if (transitions === null) throw new CommandNotFound();
  const time = (ms: number) => new Date(ms).toISOString();
  return transitions.map(({ at, until, ...transition }) => ({
    ...transition,
    at: time(at),
    ...(until !== undefined && { until: time(until) }),
  }));
}

export const transitionRoutes: FastifyPluginAsyncZod<TransitionRoutesOptions> = async (app, { reader }) => {
  app.get(
    '/api/v1/commands/:uuid/transitions',
    {
      config: { access: ['read'] },
      schema: {
        operationId: 'getTransitions',
        tags: ['commands'],
        summary: 'See the steps that a command took',
        description:
          'The path through its statechart, oldest step first. A step shows about 100 ms after it was taken; once the ' +
          'status is terminal, all of them do. After a restart of the server it goes on behind what was before.',
        params: CommandParams,
        response: { 200: z.array(TransitionBody).describe('Its steps'), ...errors(notFound) },
      },
    },
    ({ params }) => stepsOf(reader, uuidOf(params)),
  );
};
