/** DELETE /api/v1/commands: deleting all commands of a filter. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { FilterRequired } from '../errors.ts';
import type { CommandKeeper } from '../ports/reader.ts';
import { watchEndings } from './ending.ts';
import { filterFields, filterOf, flag, groupLabels } from './filters.ts';
import { errors, query, unavailable } from './schemas.ts';

export interface PruneRoutesOptions {
  keeper: CommandKeeper;
}

const FILTERS = Object.keys(filterFields).map((name) => (name === 'label' ? 'label.NAME' : name));

const PruneQuery = query({
  ...filterFields,
  dry_run: flag('dry_run').optional().describe('`true`: only tells how many it would delete'),
});

export const PrunedBody = z
  .object({
    deleted: z.int().describe('How many commands were deleted; with `dry_run` how many would be'),
    kept: z
      .object({
        live: z.int().describe('They wait or run'),
        pinned: z.int().describe('They have ended, and are pinned'),
      })
      .describe('How many stay though the filters mean them'),
    dry_run: z.literal(true).optional().describe('There when nothing was deleted'),
  })
  .meta({ id: 'Pruned' });

export const pruneRoutes: FastifyPluginAsyncZod<PruneRoutesOptions> = async (app, { keeper }) => {
  app.addHook('preValidation', groupLabels);
  const endingOf = watchEndings(app);

  app.delete(
    '/api/v1/commands',
    {
      // It tells how many there are with any text that one asks for.
      config: { access: ['delete', 'read'] },
      schema: {
        operationId: 'deleteCommands',
        tags: ['commands'],
        summary: 'Delete all ended commands of some filters',
        description:
          'Those of which all filters are true, as in the list; at least one must be given. What waits or runs stays, ' +
          'what is pinned stays, and so does what comes after the request. Deleted little by little, so that others go ' +
          'on meanwhile, and answered when all is done; if the client goes away it stops, and what was deleted stays so.',
        querystring: PruneQuery,
        response: {
          200: PrunedBody.describe('What was deleted, and what stays'),
          ...errors({
            400: '`INVALID_REQUEST`: a parameter is unknown or out of range. `FILTER_REQUIRED`: no filter is given.',
            503:
              `${unavailable} \`DRAINING\`: the server is shutting down. Some may be deleted: send it again for the ` +
              'others.',
          }),
        },
      },
    },
    async (request, reply) => {
      const { dry_run: dryRun = false } = request.query;
      const filter = filterOf(request.query);
      if (Object.values(filter).every((value) => value === undefined)) throw new FilterRequired(FILTERS);
      const pruned = await keeper.prune(filter, dryRun, endingOf(reply));
      return { ...pruned, ...(dryRun && { dry_run: true as const }) };
    },
  );
};
