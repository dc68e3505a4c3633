/** /api/v1/commands and /api/v1/durables/commands */
import type { FastifyReply } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { DESCRIPTION_MAX_CHARACTERS, SCRIPT_MAX_BYTES } from '../command.ts';
import { CommandNotFound, ScriptTooLarge } from '../errors.ts';
import type { Commander, CommandReader } from '../ports.ts';
import { optionFields, optionsFromJson } from '../run-options.ts';
import { watchEndings } from './ending.ts';
import { tagAnswer } from './etag.ts';
import { fieldFields, fieldsOf, PartialCommandBody } from './fields.ts';
import { checkInputs, inputFields, labelsField, stdinField } from './inputs.ts';
import { CommandBody, CommandParams, commandBody, errors, notFound, unavailable, uuidOf } from './schemas.ts';
import { untilEnded, WaitQuery, waitOf } from './waiting.ts';

export interface CommandRoutesOptions {
  commander: Commander;
  reader: CommandReader;
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
          (text) => [...text].length <= DESCRIPTION_MAX_CHARACTERS,
          `description must be at most ${DESCRIPTION_MAX_CHARACTERS} characters long`,
        )
        .default('')
        .describe('A note for the people who will look at the list')
        .meta({ maxLength: DESCRIPTION_MAX_CHARACTERS }),
      ...optionFields,
      ...inputFields,
      stdin: stdinField,
      labels: labelsField,
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

const Created = z.object({ uuid: z.uuid().describe('The uuid of the new command') });
const CreatedAndWaited = z.union([Created.and(CommandBody), Created]);
const Stopped = z.object({ message: z.literal('command stopped successfully') });

const locationHeader = { Location: { type: 'string', format: 'uri-reference', description: 'Where to look at it' } };

const elsewhere = '`COMMAND_ELSEWHERE`: it waits or runs under another server on the same database.';

const refusals = {
  400:
    '`INVALID_JSON` or `INVALID_REQUEST`: the body is not what it should be; `error` and `details` say where. ' +
    '`TIMEOUT_TOO_LONG`: `timeout_ms` is more than the server allows; `error` says how much that is. ' +
    '`OPTION_UNSUPPORTED`: this machine can not keep that limit; `error` says why. ' +
    '`CWD_REFUSED`: the script can not start in that folder; `error` says why.',
  413: '`SCRIPT_TOO_LARGE` or `BODY_TOO_LARGE`: the script has more than 10 MiB, or the whole body 11 MiB or more.',
  415: '`UNSUPPORTED_MEDIA_TYPE`: the body is not `application/json`.',
  429: '`QUEUE_FULL`: too many commands are waiting.',
  503: '`DRAINING`: the server is shutting down. `STORAGE_UNAVAILABLE`: the database does not answer. Nothing was stored.',
};

export const commandRoutes: FastifyPluginAsyncZod<CommandRoutesOptions> = async (app, { commander, reader }) => {
  const endingOf = watchEndings(app);
  /** Null also when the database does not answer meanwhile: the command is stored all the same. */
  const lookWhenEnded = async (uuid: string, ms: number, reply: FastifyReply) => {
    try {
      await untilEnded(reader, uuid, ms, endingOf(reply));
      return await reader.get(uuid);
    } catch (err) {
      reply.log.warn({ err, uuid }, 'a new command could not be looked at');
      return null;
    }
  };

  for (const durable of [false, true]) {
    app.route({
      method: 'POST',
      url: durable ? '/api/v1/durables/commands' : '/api/v1/commands',
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
        body: NewCommandBody,
        response: {
          201: CreatedAndWaited.meta({ description: 'It is stored.', headers: locationHeader }),
          ...errors(refusals),
        },
      },
      handler: async (request, reply) => {
        const { script, description, labels = {}, env, cwd, args, stdin, secret_env: secretEnv = {} } = request.body;
        if (Buffer.byteLength(script) > SCRIPT_MAX_BYTES) throw new ScriptTooLarge(SCRIPT_MAX_BYTES);
        const options = optionsFromJson(request.body);
        const inputs = { env, cwd, args, stdin };
        const uuid = await commander.submit({ script, description, durable, options, inputs, secretEnv, labels });
        const ms = waitOf(request, request.query, reply);
        const record = ms === 0 ? null : await lookWhenEnded(uuid, ms, reply);
        const body = record === null ? { uuid } : { uuid, ...commandBody(record) };
        return reply.code(201).header('location', `/api/v1/commands/${uuid}`).send(body);
      },
    });
  }

  app.get(
    '/api/v1/commands/:uuid',
    {
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
          ...errors({ 400: '`INVALID_REQUEST`: `wait`, `fields` or `output` is out of range.', ...notFound }),
        },
      },
      onSend: tagAnswer,
    },
    async (request, reply) => {
      const uuid = uuidOf(request.params);
      await untilEnded(reader, uuid, waitOf(request, request.query, reply), endingOf(reply));
      const { withOutput, pick } = fieldsOf(request.query);
      const record = await reader.get(uuid, withOutput);
      if (record === null) throw new CommandNotFound();
      return pick(commandBody(record));
    },
  );

  app.patch(
    '/api/v1/commands/:uuid',
    {
      schema: {
        operationId: 'stopCommand',
        tags: ['commands'],
        summary: 'Stop a command',
        description:
          'SIGTERM to its whole process tree, after a grace SIGKILL. ' +
          'Answered once nothing of it lives and STOPPED is stored. Needs no body.',
        params: CommandParams,
        response: {
          200: Stopped.describe('It is STOPPED, now or since earlier.'),
          ...errors({
            ...notFound,
            409: `\`COMMAND_ENDED\`: it had already ended by itself. ${elsewhere}`,
            503: `${unavailable} A stop that is under way goes on: ask again.`,
          }),
        },
      },
    },
    async ({ params }) => {
      await commander.stop(uuidOf(params));
      return { message: 'command stopped successfully' as const };
    },
  );

  app.delete(
    '/api/v1/commands/:uuid',
    {
      schema: {
        operationId: 'deleteCommand',
        tags: ['commands'],
        summary: 'Delete a command and its output',
        description: 'A command that waits or runs is stopped first.',
        params: CommandParams,
        response: {
          204: z.undefined().describe('Deleted'),
          ...errors({ ...notFound, 409: elsewhere, 503: `${unavailable} It may be deleted or not: ask again.` }),
        },
      },
    },
    async ({ params }, reply) => {
      await commander.remove(uuidOf(params));
      return reply.code(204).send();
    },
  );
};
