/** /api/v1/commands/:uuid/statechart and /manage/statechart: the machines, where they are and how they came there. */
import { createHash } from 'node:crypto';
import type { FastifyReply } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Commander, Load } from '../ports/commander.ts';
import type { CommandReader } from '../ports/reader.ts';
import { transitionOf } from '../statecharts/chart.ts';
import { markPicture, STYLE } from '../statecharts/mark.ts';
import { readStatechart } from '../statecharts/read.ts';
import { CommandParams, errors, notFound, QueueBody, queueBody, unavailable, uuidOf } from './schemas.ts';
import { stepsOf, TransitionBody } from './transitions.ts';

export interface StatechartRoutesOptions {
  commander: Pick<Commander, 'load'>;
  reader: CommandReader;
}

const stateName = (sentence: string) => z.string().describe(sentence);
const names = (sentence: string) => z.array(z.string()).describe(sentence);
const behaviour = {
  invokes: names('The actors that live as long as it is entered'),
  entry: names('The actions that are done when it is entered'),
  exit: names('The actions that are done when it is left'),
};

const StatechartBody = z
  .object({
    id: z.string().describe('Its name: `command` or `supervisor`'),
    initial: stateName('The state in which it begins'),
    ...behaviour,
    states: z
      .array(
        z.object({
          id: z.string().describe('The id of its shape in the picture'),
          name: stateName('Dotted where it lies in another one: `executing.running`'),
          parent: stateName('The state that it lies in; null: in none').nullable(),
          type: z.enum(['atomic', 'compound', 'final']).describe('compound: there are states inside'),
          initial: stateName('The state inside that is entered with it').nullable(),
          ...behaviour,
        }),
      )
      .describe('All its states, each behind the one that it lies in'),
    transitions: z
      .array(
        z.object({
          id: z.string().describe('The id of its arrow in the picture; what stays in its state has no arrow'),
          from: stateName('The state that it leaves, with all inside; null: it is taken in all states').nullable(),
          event: z
            .string()
            .nullable()
            .describe('What makes it: an event such as `stop`, a delay as `after grace`; null: it waits for none'),
          guard: z.string().nullable().describe('The condition; `else` where those of others are not met'),
          to: stateName('The state that it enters; null: only actions are done').nullable(),
          actions: names('The actions that are done'),
        }),
      )
      .describe('All its transitions'),
  })
  .meta({ id: 'Statechart' });

const CommandStatechartBody = z
  .object({
    machine: StatechartBody,
    state: stateName('The state that it is in, or has ended in'),
    path: z
      .array(
        TransitionBody.extend({
          transition: z.string().nullable().describe('The id of the transition that it is; null: it is not drawn'),
        }),
      )
      .describe('The steps that it took, oldest first, as `GET /api/v1/commands/{uuid}/transitions` has them'),
  })
  .meta({ id: 'CommandStatechart' });

export const SupervisorStatechartBody = z
  .object({
    machine: StatechartBody,
    state: z
      .enum(['accepting', 'draining', 'drained'])
      .describe('draining: it takes nothing new and waits for what runs to end; drained: nothing runs any more'),
    queue: QueueBody.describe('The queue and the slots'),
    storing: z.int().describe('Commands that need no slot any more and whose outcome is being stored'),
  })
  .meta({ id: 'SupervisorStatechart' });

/** What a browser may do that opens a picture: show it, with its own style. */
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "frame-ancestors 'none'",
].join('; ');

const pictures = (description: string) => ({
  description,
  content: { 'image/svg+xml': { schema: z.string().describe('An SVG document') } },
});

const command = readStatechart('command');
const supervisor = readStatechart('supervisor');

export const statechartRoutes: FastifyPluginAsyncZod<StatechartRoutesOptions> = async (app, { commander, reader }) => {
  const sendPicture = (reply: FastifyReply, picture: string) =>
    reply.type('image/svg+xml; charset=utf-8').header('content-security-policy', POLICY).send(picture);

  app.get(
    '/api/v1/commands/:uuid/statechart',
    {
      config: { access: ['read'] },
      schema: {
        operationId: 'getStatechart',
        tags: ['commands'],
        summary: 'See the machine of a command, and the path that it took',
        description:
          'Its machine as data, as `npm run statecharts` reads it from the code, the state that it is in, and the steps ' +
          'that led there. Those of commands that have ended, or that another server runs, are told too.',
        params: CommandParams,
        response: { 200: CommandStatechartBody.describe('Its machine, state and path'), ...errors(notFound) },
      },
    },
    async ({ params }) => {
      const path = await stepsOf(reader, uuidOf(params));
      const { chart } = command;
      return {
        machine: chart,
        state: stateAfter(path),
        path: path.map((step) => ({ ...step, transition: transitionOf(chart, step)?.id ?? null })),
      };
    },
  );

  app.get(
    '/api/v1/commands/:uuid/statechart.svg',
    {
      config: { access: ['read'] },
      schema: {
        operationId: 'drawStatechart',
        tags: ['commands'],
        summary: 'See the path that a command took, as a picture',
        description:
          'The picture of its machine. The state that it is in is lit, the path that it took is marked; who points at an ' +
          'arrow is told which steps went along it, and when. It has no script, and is dark on a dark page.',
        params: CommandParams,
        response: { 200: pictures('Its machine, state and path'), ...errors(notFound) },
      },
    },
    async ({ params }, reply) => {
      const uuid = uuidOf(params);
      const path = await stepsOf(reader, uuid);
      const state = stateAfter(path);
      return sendPicture(reply, markPicture(command, { state, path, caption: [`command ${uuid}`, state] }));
    },
  );

  app.get(
    '/manage/statechart',
    {
      config: { access: ['read'] },
      schema: {
        operationId: 'getSupervisorStatechart',
        tags: ['manage'],
        summary: 'See the machine of the supervisor',
        description: 'The machine that admits commands and holds the slots, its state, and how much it has to do.',
        response: {
          200: SupervisorStatechartBody.describe('Its machine, state, queue and counts'),
          ...errors({ 503: unavailable }),
        },
      },
    },
    async () => {
      const load = commander.load();
      return { machine: supervisor.chart, state: load.state, queue: queueBody(load), storing: load.storing };
    },
  );

  app.get(
    '/manage/statechart.svg',
    {
      config: { access: ['read'] },
      schema: {
        operationId: 'drawSupervisorStatechart',
        tags: ['manage'],
        summary: 'See the machine of the supervisor as a picture',
        description: 'Its state is lit; what it has to do stands below.',
        response: { 200: pictures('Its machine, state, queue and counts'), ...errors({ 503: unavailable }) },
      },
    },
    async (_, reply) => {
      const load = commander.load();
      return sendPicture(reply, markPicture(supervisor, { state: load.state, caption: [load.state, inWords(load)] }));
    },
  );
};

/** The state that a path has led to. */
const stateAfter = (path: readonly { to: string }[]) => path.at(-1)?.to ?? command.chart.initial;

const inWords = ({ executing, maxParallel, waiting, storing }: Load) =>
  `${executing} of ${maxParallel} slots, ${waiting} waiting, ${storing} storing`;
