/** The routes of an application that somebody else builds. */
import { channel } from 'node:diagnostics_channel';
import type { FastifyInstance, RouteOptions } from 'fastify';

/** Makes an application, and collects all routes that are registered meanwhile, those of libraries too. */
export async function collectRoutes<App>(build: () => Promise<App>): Promise<{ app: App; routes: RouteOptions[] }> {
  const routes: RouteOptions[] = [];
  const watch = (message: unknown) =>
    (message as { fastify: FastifyInstance }).fastify.addHook('onRoute', (route) => void routes.push(route));
  channel('fastify.initialization').subscribe(watch);
  try {
    return { app: await build(), routes };
  } finally {
    channel('fastify.initialization').unsubscribe(watch);
  }
}
