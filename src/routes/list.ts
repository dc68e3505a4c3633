/** GET /api/v1/commands: which commands there are. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { BadCursor } from '../errors.ts';
import type { CommandFilter, CommandReader, ListPosition } from '../ports/reader.ts';
import { cursorOf, positionOf } from './cursor.ts';
import { fieldFields, fieldsOf, PartialCommandBody } from './fields.ts';
import { filterFields, filterOf, flag, groupLabels } from './filters.ts';
import { CommandBody, commandBody, errors, query, unavailable, wholeNumber } from './schemas.ts';

export interface ListRoutesOptions {
  reader: CommandReader;
}

const ListQuery = query({
  ...filterFields,
  limit: wholeNumber('limit', 1, 1000).default(10).describe('How many commands at most'),
  offset: wholeNumber('offset', 0, 10_000_000)
    .optional()
    .describe('How many of the newest to pass over; what is deep down a cursor reaches sooner'),
  cursor: z
    .string('cursor must be given once')
    .optional()
    .describe('Where to go on, as the `Link` of the page before says; instead of `offset`, with the same filters'),
  count: flag('count').optional().describe('Whether to tell in `X-Total-Count` how many there are in all'),
  ...fieldFields,
})
  .refine(({ offset, cursor }) => !offset || cursor === undefined, {
    path: ['offset'],
    message: 'offset must not be given with a cursor',
  })
  .refine(({ offset, q }) => !offset || q === undefined, {
    path: ['offset'],
    message: 'offset must not be given with q; the Link of each page leads to the next',
  });

const headers = {
  Link: {
    type: 'string',
    description: 'The address of the next page, as `<…>; rel="next"` (RFC 8288); missing when this is the last one',
  },
  'X-Total-Count': { type: 'integer', description: 'With `count=true`: how many commands match, on all pages' },
};

export const listRoutes: FastifyPluginAsyncZod<ListRoutesOptions> = async (app, { reader }) => {
  app.addHook('preValidation', groupLabels);

  app.get(
    '/api/v1/commands',
    {
      config: { access: ['read'] },
      schema: {
        operationId: 'listCommands',
        tags: ['commands'],
        summary: 'List commands, newest first',
        description:
          'Those of which all filters are true. Each shows at most the first 64 KiB of its output; `output_preview` ' +
          'tells when there is more.',
        querystring: ListQuery,
        response: {
          200: z
            .union([z.array(CommandBody), z.array(PartialCommandBody)])
            .meta({ description: 'The commands; an empty array when there are none', headers }),
          ...errors({
            400:
              '`INVALID_REQUEST`: a parameter is unknown or out of range. `BAD_CURSOR`: the cursor is none of a list ' +
              'with these filters.',
            503: unavailable,
          }),
        },
      },
    },
    async (request, reply) => {
      const { limit, cursor, offset = 0, count = false } = request.query;
      const filter = filterOf(request.query);
      const { withOutput, pick } = fieldsOf(request.query);
      const behind = cursor === undefined ? undefined : placeOf(cursor, filter);
      const total = count ? await reader.count(filter) : undefined;
      const { commands, next } = await reader.list({ filter, behind, limit, offset, withOutput });
      if (total !== undefined) reply.header('x-total-count', total);
      if (next !== undefined) reply.header('link', `<${nextUrl(request.url, cursorOf(next, filter))}>; rel="next"`);
      return commands.map((command) => pick(commandBody(command)));
    },
  );
};

/** @throws BadCursor */
function placeOf(cursor: string, filter: CommandFilter): ListPosition {
  const position = positionOf(cursor, filter);
  if (position === undefined) throw new BadCursor();
  return position;
}

/** The same list from another place on; relative, since only the client knows under which name it reaches us. */
function nextUrl(url: string, cursor: string): string {
  const [path = '', search = ''] = url.split('?', 2);
  const parameters = new URLSearchParams(search);
  parameters.delete('offset');
  parameters.set('cursor', cursor);
  return `${path}?${parameters}`;
}
