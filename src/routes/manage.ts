/** /manage: for those who run the server. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { missingScope } from '../access/caller.ts';
import type { Inspection, Metrics, Readiness } from '../ports/watching.ts';
import { QueueBody, queueBody } from './schemas.ts';

export interface ManageRoutesOptions {
  readiness: () => Promise<Readiness>;
  metrics: Metrics;
  /** Undefined: the server was not started for that. */
  inspection?: Inspection | undefined;
}

export const ReadinessBody = z
  .object({
    status: z
      .enum(['ready', 'starting', 'draining', 'unavailable'])
      .describe(
        'ready; starting: it waits for its database, or takes up what is there; draining: it shuts down; ' +
          'unavailable: the database does not answer, or does not take what is to be written',
      ),
    database: z.enum(['up', 'down']).describe('Whether the database answers'),
    scripts: z.string().describe('How scripts are run'),
    process_trees: z
      .array(z.string())
      .readonly()
      .describe('By which means the process trees of commands are ended: each catches what the one before it misses'),
    launcher_pid: z
      .int()
      .nullable()
      .describe("The process id of the launcher; null when scripts run in the server's own process"),
    inspect: z.boolean().describe('Whether `/manage/inspect` tells what happens in the actors'),
    queue: QueueBody.nullable().describe('How much there is to do; null while it starts'),
    storage: z
      .object({
        commands: z.int().describe('Commands that are stored'),
        pinned: z.int().describe('Of these, how many have ended and are pinned'),
        bytes: z.int().describe('What is kept of the scripts, stdins and outputs of commands that have ended'),
        disk_bytes: z.int().describe('What our tables take on the disk of the database'),
      })
      .nullable()
      .describe('How much is stored, as of the last few seconds; null while the database has not told'),
  })
  .partial()
  .required({ status: true })
  .meta({ id: 'Readiness' });

export const manageRoutes: FastifyPluginAsyncZod<ManageRoutesOptions> = async (app, options) => {
  const { readiness, metrics, inspection } = options;
  app.get(
    '/manage/health',
    {
      config: { access: 'public' },
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

  app.get(
    '/manage/ready',
    {
      config: { access: 'public' },
      schema: {
        operationId: 'ready',
        tags: ['manage'],
        summary: 'Whether the server can take commands',
        description:
          'Answered within about a second, whatever the database does. Without a token that may read, where one is ' +
          'wanted, only `status` is told.',
        response: {
          200: ReadinessBody.describe('It is ready.'),
          503: ReadinessBody.describe('It is not ready; `status` says why.'),
        },
      },
    },
    async (request, reply) => {
      const { launcherPid, layers, load, storage: use, ...rest } = await readiness();
      const queue = load && queueBody(load);
      const storage = use && {
        commands: use.commands,
        pinned: use.pinned,
        bytes: use.bytes,
        disk_bytes: use.diskBytes,
      };
      const inspect = inspection !== undefined;
      const body = { ...rest, process_trees: layers, launcher_pid: launcherPid, inspect, queue, storage };
      reply.code(rest.status === 'ready' ? 200 : 503);
      return missingScope(request.caller, ['read']) === undefined ? body : { status: rest.status };
    },
  );

  app.get(
    '/manage/metrics',
    {
      config: { access: ['read'] },
      schema: {
        operationId: 'metrics',
        tags: ['manage'],
        summary: 'Figures for Prometheus',
        description: 'In its text format. Those with the prefix `shellvisor_` are listed in docs/metrics.md.',
        response: {
          200: {
            description: 'The figures of this server since its start',
            content: { 'text/plain': { schema: z.string() } },
          },
        },
      },
    },
    async (_, reply) => reply.type(metrics.contentType).send(await metrics.text()),
  );
};
