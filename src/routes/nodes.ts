/** /manage/nodes: the servers that share the work. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { NodeState, Nodes } from '../ports/nodes.ts';
import { errors, isoTime, unavailable } from './schemas.ts';

export interface NodeRoutesOptions {
  nodes: Nodes;
}

export const NodeBody = z
  .object({
    id: z.string().describe('Another one each time that the node begins anew'),
    name: z.string().describe('What `SHELLVISOR_NODE_NAME` calls it; unless given, its host name'),
    is_self: z.boolean().describe('Whether it is the one that answers'),
    version: z.string().describe('Its version of shellvisor'),
    labels: z.array(z.string()).readonly().describe('Of which kinds it is'),
    state: z
      .enum(['up', 'draining', 'drained', 'quiet', 'lost', 'left'])
      .describe(
        'up: it takes commands; draining: it takes no more, and still has some; drained: it has none; quiet: its heartbeat ' +
          'does not come; lost: the others have given it up; left: it has shut down',
      ),
    slots: z.int().describe('How many commands it runs at once'),
    executing: z.int().describe('Commands that it runs'),
    waiting: z.int().describe('Commands that wait for it alone'),
    started_at: z.iso.datetime().describe('When it joined'),
    last_heartbeat_at: z.iso
      .datetime()
      .nullable()
      .describe('When it has last said that it lives, each second; null: never'),
  })
  .meta({ id: 'Node' });

const NodeParams = z.object({ id: z.string().describe('The `id` of a node; `self`: the one that answers') });

const off = '`CLUSTER_OFF`: the server was not started with `SHELLVISOR_CLUSTER=on`.';

function nodeBody(node: NodeState): z.infer<typeof NodeBody> {
  const { isSelf, startedAt, lastHeartbeatAt, ...rest } = node;
  return {
    ...rest,
    is_self: isSelf,
    started_at: new Date(startedAt).toISOString(),
    last_heartbeat_at: isoTime(lastHeartbeatAt),
  };
}

export const nodeRoutes: FastifyPluginAsyncZod<NodeRoutesOptions> = async (app, { nodes }) => {
  app.get(
    '/manage/nodes',
    {
      config: { access: ['read'] },
      schema: {
        operationId: 'listNodes',
        tags: ['manage'],
        summary: 'The servers that share the work',
        description: 'Those that are there and those that were until a day ago, oldest first.',
        response: {
          200: z.array(NodeBody).describe('The nodes'),
          ...errors({ 404: off, 503: unavailable }),
        },
      },
    },
    async () => (await nodes.nodes()).map(nodeBody),
  );

  for (const isDraining of [true, false]) {
    app.route({
      method: isDraining ? 'POST' : 'DELETE',
      url: '/manage/nodes/:id/drain',
      config: { access: ['admin'] },
      schema: {
        operationId: isDraining ? 'drainNode' : 'undrainNode',
        tags: ['manage'],
        summary: isDraining ? 'Have a node take no more commands' : 'Have a node take commands again',
        description: isDraining
          ? 'What it runs goes on to its end; `GET /manage/nodes` says when it is `drained`. It goes on answering requests, ' +
            'and new commands run on other nodes. Needs no body.'
          : 'After a drain. Needs no body.',
        params: NodeParams,
        response: {
          204: z.undefined().describe(isDraining ? 'It takes no more.' : 'It takes commands.'),
          ...errors({ 404: `\`NODE_NOT_FOUND\`: there is no such node, or it has left. ${off}`, 503: unavailable }),
        },
      },
      handler: async (request, reply) => {
        await nodes.drain(request.params.id, isDraining);
        return reply.code(204).send();
      },
    });
  }
};
