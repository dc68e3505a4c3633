/** /api/v1/commands/:uuid/rerun: the same once more. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Commander } from '../ports/commander.ts';
import type { CommandReader } from '../ports/reader.ts';
import { CreatedAnswer, createdAnswers, creationRefusals, limitRefusals } from './creating.ts';
import { IdempotencyHeaders, idempotencyOfRerun, separateKeys } from './idempotency.ts';
import { inputFields } from './inputs.ts';
import { CommandParams, errors, notFound, uuidOf } from './schemas.ts';
import type { OpenStreams } from './streams.ts';
import { openWait, WaitQuery } from './waiting.ts';

export interface RerunRoutesOptions {
  commander: Commander;
  reader: CommandReader;
  streams: OpenStreams;
}

/** What is stored nowhere. */
export const RerunBody = z
  .strictObject(
    { secret_env: inputFields.secret_env.describe('All the secrets that the command had: each name with its value') },
    {
      error: (issue) =>
        issue.code === 'unrecognized_keys'
          ? `unknown: ${issue.keys.join(', ').slice(0, 200)}`
          : 'the body must be a JSON object',
    },
  )
  .meta({ id: 'Rerun' })
  // Fastify's word for no body.
  .nullable();

export const rerunRoutes: FastifyPluginAsyncZod<RerunRoutesOptions> = async (app, { commander, reader, streams }) => {
  const answerCreated = createdAnswers(app, reader);

  app.post(
    '/api/v1/commands/:uuid/rerun',
    {
      // With `wait` it shows what the earlier command is.
      config: { access: ['run', 'read'] },
      schema: {
        operationId: 'rerunCommand',
        tags: ['commands'],
        summary: 'Run a command again',
        description:
          'Creates a new command that is given all that this one was: its script, description, options, inputs and labels, ' +
          'regular or durable. Its `rerun_of` says so. This one may have ended or not, at any server. Only its secrets have ' +
          'to come again, all of them; else it needs no body. With `wait` answered when it has ended.',
        params: CommandParams,
        querystring: WaitQuery,
        headers: IdempotencyHeaders,
        body: RerunBody,
        response: {
          201: CreatedAnswer,
          ...errors({
            ...creationRefusals,
            400:
              '`INVALID_JSON` or `INVALID_REQUEST`: the body is not what it should be. `SECRETS_MISMATCH`: `secret_env` ' +
              `has not the names that the secrets of the command have; \`error\` says which are missing. ${limitRefusals}`,
            404: notFound[404],
            413: '`BODY_TOO_LARGE`: the body has 11 MiB or more.',
          }),
        },
      },
      preValidation: separateKeys,
    },
    async (request, reply) => {
      const uuid = uuidOf(request.params);
      const secretEnv = request.body?.secret_env ?? {};
      const ms = openWait(streams, request, reply);
      const idempotency = idempotencyOfRerun(request, uuid, secretEnv);
      const created = await commander.rerun(uuid, secretEnv, request.caller.name, idempotency);
      return answerCreated(reply, created, ms);
    },
  );
};
