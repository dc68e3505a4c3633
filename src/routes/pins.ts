/** /api/v1/commands/:uuid/pin: which commands stay when many are deleted. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { CommandKeeper } from '../ports/reader.ts';
import { CommandParams, errors, notFound, unavailable, uuidOf } from './schemas.ts';

export interface PinRoutesOptions {
  keeper: CommandKeeper;
}

const KINDS = [
  {
    method: 'PUT',
    pinned: true,
    operationId: 'pinCommand',
    summary: 'Pin a command',
    done: 'It is pinned, now or since earlier.',
  },
  {
    method: 'DELETE',
    pinned: false,
    operationId: 'unpinCommand',
    summary: 'Take the pin off a command',
    done: 'It is not pinned, now or since earlier.',
  },
] as const;

export const pinRoutes: FastifyPluginAsyncZod<PinRoutesOptions> = async (app, { keeper }) => {
  for (const { method, pinned, operationId, summary, done } of KINDS) {
    app.route({
      method,
      url: '/api/v1/commands/:uuid/pin',
      config: { access: ['delete'] },
      schema: {
        operationId,
        tags: ['commands'],
        summary,
        description:
          'A pinned command stays when many are deleted: by retention, or by a filter. It may wait or run, under another ' +
          'server on the same database too. Needs no body.',
        params: CommandParams,
        response: {
          204: z.undefined().describe(done),
          ...errors({ ...notFound, 503: `${unavailable} The pin may be changed or not: send it again.` }),
        },
      },
      handler: async ({ params }, reply) => {
        await keeper.pin(uuidOf(params), pinned);
        return reply.code(204).send();
      },
    });
  }
};
