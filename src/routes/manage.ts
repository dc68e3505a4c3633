/** /manage: for those who run the server. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';

export const manageRoutes: FastifyPluginAsyncZod = async (app) => {
  app.get(
    '/manage/health',
    {
      schema: {
        operationId: 'health',
        tags: ['manage'],
        summary: 'Whether the server lives',
        produces: ['text/plain'],
        response: { 200: z.literal('Status OK').describe('It lives.') },
      },
    },
    async (_, reply) => reply.type('text/plain; charset=utf-8').send('Status OK'),
  );
};
