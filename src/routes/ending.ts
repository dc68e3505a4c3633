/** For answers that take their time: when there is no more use in going on with them. */
import type { FastifyInstance, FastifyReply } from 'fastify';

/**
 * Watches over the answers of an application.
 * @returns a function that gives each answer a signal that aborts when its client is gone, or the server ends.
 */
export function watchEndings(app: FastifyInstance): (reply: FastifyReply) => AbortSignal {
  const open = new Set<AbortController>();
  app.addHook('preClose', async () => {
    for (const ending of open) ending.abort();
  });
  return ({ raw }) => {
    const ending = new AbortController();
    open.add(ending);
    raw.once('close', () => {
      open.delete(ending);
      ending.abort();
    });
    return ending.signal;
  };
}
