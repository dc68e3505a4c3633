/** The dashboard: the files of web/, as they were built. They hold no data; what they ask for wants a token. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import { guardScope } from '../access/guard.ts';
import { hardenPages } from '../access/headers.ts';

export interface DashboardOptions {
  /** Where it was built to. */
  dashboard: string;
}

/** The addresses that are screens of the one page. Others are none, so that a wrong one gets 404. */
const SCREENS = ['/', '/commands/:uuid', '/run', '/system', '/inspector'];

const INDEX = 'index.html';
const NOT_BUILT =
  'The dashboard has not been built: run `npm run build:web` in the folder of shellvisor, and start it again.\n';

export async function dashboardRoutes(app: FastifyInstance, { dashboard }: DashboardOptions): Promise<void> {
  guardScope(app, 'public');
  await hardenPages(app);
  const isBuilt = existsSync(join(dashboard, INDEX));
  if (isBuilt) {
    await app.register(fastifyStatic, {
      root: dashboard,
      prefix: '/assets/',
      serve: false,
      preCompressed: true,
    });
  }
  const schema = { hide: true };
  for (const url of SCREENS) {
    app.get(url, { schema }, (_, reply) => {
      if (!isBuilt) return reply.code(503).type('text/plain; charset=utf-8').serializer(String).send(NOT_BUILT);
      // It names the files that belong to it, so an old one would ask for what is gone.
      return reply.header('cache-control', 'no-cache').sendFile(INDEX, { cacheControl: false });
    });
  }
  if (!isBuilt) return;
  app.get<{ Params: { '*': string } }>('/assets/*', { schema }, ({ params }, reply) =>
    // Their names change with what is in them.
    reply.sendFile(`assets/${params['*']}`, { maxAge: '1y', immutable: true }),
  );
}
