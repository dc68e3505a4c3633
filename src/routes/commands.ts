/** /api/v1/commands and /api/v1/durables/commands */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { demandScope } from '../access/caller.ts';
import { DESCRIPTION_MAX_CHARACTERS, SCRIPT_MAX_BYTES } from '../command.ts';
import { CommandNotFound, ScriptTooLarge } from '../errors.ts';
import type { Commander } from '../ports/commander.ts';
import type { CommandReader } from '../ports/reader.ts';
import { optionFields, optionsFromJson } from '../run-options.ts';
import { CreatedAnswer, createdAnswers, creationRefusals } from './creating.ts';
import { watchEndings } from './ending.ts';
import { tagAnswer } from './etag.ts';
import { fieldFields, fieldsOf, PartialCommandBody } from './fields.ts';
import { IdempotencyHeaders, idempotencyOfCreation, separateKeys } from './idempotency.ts';
import { checkInputs, inputFields, labelsField, stdinField } from './inputs.ts';
import {
  CommandBody,
  CommandParams,
  commandBody,
  errors,
  isAtMost,
  notFound,
  query,
  tooManyStreams,
  unavailable,
  uuidOf,
} from './schemas.ts';
import type { OpenStreams } from './streams.ts';
import { openWait, untilEnded, WaitQuery } from './waiting.ts';

export interface CommandRoutesOptions {
  commander: Commander;
  reader: CommandReader;
  streams: OpenStreams;
}

/** Text that PostgreSQL can keep as it is: no NUL, and no half of a surrogate pair, which UTF-8 can't express. */
const storable = (name: string) =>
  z
    .string({ error: ({ input }) => `${name} must be ${input === undefined ? 'given' : 'a string'}` })
    .refine((text) => !text.includes('\0'), `${name} must not contain NUL characters`)
    .refine((text) => text.isWellFormed(), `${name} must be valid Unicode`);

export const NewCommandBody = z
  .strictObject(
    {
      script: storable('script')
        .refine((script) => script !== '', 'script must be given')
        .describe('The bash script to run, as if it were a file given to bash: at most 10 MiB of UTF-8, without NUL')
        .meta({ minLength: 1, examples: ['echo "Hello from $BASH_VERSION"'] }),
      description: storable('description')
        .refine(
          (text) => isAtMost(text, DESCRIPTION_MAX_CHARACTERS),
          `description must be at most ${DESCRIPTION_MAX_CHARACTERS} characters long`,
        )
        .default('')
        .describe('A note for the people who will look at the list')
        .meta({ maxLength: DESCRIPTION_MAX_CHARACTERS }),
      ...optionFields,
      ...inputFields,
      stdin: stdinField,
      labels: labelsField,
      pinned: z
        .boolean('pinned must be true or false')
        .optional()
        .describe('Whether it stays when many are deleted: by retention, or by a filter; wants the scope `delete` too'),
    },
    {
      error: (issue) => {
        if (issue.code === 'unrecognized_keys') return `unknown: ${issue.keys.join(', ').slice(0, 200)}`;
        return issue.input == null ? 'script must be given' : 'the body must be a JSON object';
      },
    },
  )
  .superRefine(checkInputs)
  .meta({ id: 'NewCommand' });

const Stopped = z.object({ message: z.literal('command stopped successfully') });

const elsewhere = '`COMMAND_ELSEWHERE`: it waits or runs under another server on the same database.';

export const commandRoutes: FastifyPluginAsyncZod<CommandRoutesOptions> = async (
  app,
  { commander, reader, streams },
) => {
  const endingOf = watchEndings(app);
  const answerCreated = createdAnswers(app, reader);

  for (const durable of [false, true]) {
    app.route({
      method: 'POST',
      url: durable ? '/api/v1/durables/commands' : '/api/v1/commands',
      config: { access: ['run'] },
      schema: {
        operationId: durable ? 'createDurableCommand' : 'createCommand',
        tags: ['commands'],
        summary: durable
          ? 'Run a script; its output shows while it runs'
          : 'Run a script; its output shows when it ends',
        description:
          'Answered once the command is stored. It runs as soon as a slot is free, oldest first. With `wait` answered ' +
          'when it has ended, with all of it, or as far as it is when that time is over.',
        querystring: WaitQuery,
        headers: IdempotencyHeaders,
        body: NewCommandBody,
        response: { 201: CreatedAnswer, ...errors(creationRefusals) },
      },
      preValidation: separateKeys,
      handler: async (request, reply) => {
        const { script, description, labels = {}, pinned, env, cwd, args, stdin } = request.body;
        const { secret_env: secretEnv = {} } = request.body;
        // A pin keeps it from being deleted.
        if (pinned) demandScope(request.caller, ['delete']);
        if (Buffer.byteLength(script) > SCRIPT_MAX_BYTES) throw new ScriptTooLarge(SCRIPT_MAX_BYTES);
        const options = optionsFromJson(request.body);
        const inputs = { env, cwd, args, stdin };
        const command = { script, description, durable, options, inputs, secretEnv, labels, pinned };
        const ms = openWait(streams, request, reply);
        const created = await commander.submit(command, request.caller.name, idempotencyOfCreation(request, command));
        return answerCreated(reply, created, ms);
      },
    });
  }

  app.get(
    '/api/v1/commands/:uuid',
    {
      config: { access: ['read'] },
      schema: {
        operationId: 'getCommand',
        tags: ['commands'],
        summary: 'Look at a command',
        description: 'With `wait` answered when it has ended, or as it is when that time is over.',
        params: CommandParams,
        querystring: WaitQuery.extend(fieldFields),
        response: {
          200: z.union([CommandBody, PartialCommandBody]).describe('The command'),
          304: z.undefined().describe('It is as it was: its `ETag` is in `If-None-Match`.'),
          ...errors({
            400: '`INVALID_REQUEST`: `wait`, `fields` or `output` is out of range.',
            ...notFound,
            429: tooManyStreams,
          }),
        },
      },
      onSend: tagAnswer,
    },
    async (request, reply) => {
      const uuid = uuidOf(request.params);
      await untilEnded(reader, uuid, openWait(streams, request, reply), endingOf(reply));
      const { withOutput, pick } = fieldsOf(request.query);
      const record = await reader.get(uuid, withOutput);
      if (record === null) throw new CommandNotFound();
      return pick(commandBody(record));
    },
  );

  app.patch(
    '/api/v1/commands/:uuid',
    {
      config: { access: ['stop'] },
      schema: {
        operationId: 'stopCommand',
        tags: ['commands'],
        summary: 'Stop a command',
        description:
          'SIGTERM to its whole process tree, after a grace SIGKILL. ' +
          'Answered once nothing of it lives and STOPPED is stored. Needs no body. With `kill=true` SIGKILL at once, also ' +
          'while the grace of another stop, of its timeout or of its output limit runs: that stays the reason.',
        params: CommandParams,
        querystring: query({
          kill: z
            .enum(['true', 'false'], 'kill must be true or false')
            .default('false')
            .describe('Whether by SIGKILL at once'),
        }),
        response: {
          200: Stopped.describe('It is STOPPED, now or since earlier.'),
          ...errors({
            400: '`INVALID_REQUEST`: a parameter is unknown, or `kill` is neither true nor false.',
            ...notFound,
            409: `\`COMMAND_ENDED\`: it had already ended by itself. ${elsewhere}`,
            503: `${unavailable} A stop that is under way goes on: ask again.`,
          }),
        },
      },
    },
    async ({ params, query, caller }) => {
      await commander.stop(uuidOf(params), caller.name, query.kill === 'true');
      return { message: 'command stopped successfully' as const };
    },
  );

  app.delete(
    '/api/v1/commands/:uuid',
    {
      config: { access: ['delete'] },
      schema: {
        operationId: 'deleteCommand',
        tags: ['commands'],
        summary: 'Delete a command and its output',
        description:
          'A command that waits or runs is stopped first. A pinned one is deleted too: who names it means it.',
        params: CommandParams,
        response: {
          204: z.undefined().describe('Deleted'),
          ...errors({ ...notFound, 409: elsewhere, 503: `${unavailable} It may be deleted or not: ask again.` }),
        },
      },
    },
    async ({ params, caller }, reply) => {
      await commander.remove(uuidOf(params), caller.name);
      return reply.code(204).send();
    },
  );
};
