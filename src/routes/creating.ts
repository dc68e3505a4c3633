/** What the routes that create commands have in common. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import type { Submission } from '../ports/commander.ts';
import type { CommandReader } from '../ports/reader.ts';
import { watchEndings } from './ending.ts';
import { CommandBody, commandBody } from './schemas.ts';
import { untilEnded } from './waiting.ts';

const Created = z.object({ uuid: z.uuid().describe('The uuid of the new command') });

const headers = {
  Location: { type: 'string', format: 'uri-reference', description: 'Where to look at it' },
  'Idempotency-Replayed': {
    type: 'string',
    enum: ['true'],
    description: 'An earlier request with the same `Idempotency-Key` has created it, and this one nothing',
  },
};

/** What was created; with `wait` also what it is like. */
export const CreatedAnswer = z
  .union([Created.and(CommandBody), Created])
  .meta({ description: 'It is stored.', headers });

/** Why a command can't be run here. */
export const limitRefusals =
  '`TIMEOUT_TOO_LONG`: `timeout_ms` is more than the server allows; `error` says how much that is. ' +
  '`OPTION_UNSUPPORTED`: this machine can not do that, or the server is no node; `error` says why. ' +
  '`NODE_UNKNOWN`: no node has the label that `node` wants; `error` says which there are. ' +
  '`SECRETS_STAY`: with `secret_env` it runs on the node that it is sent to, which has not the label that `node` wants. ' +
  '`CWD_REFUSED`: the script can not start in that folder; `error` says why. Between several nodes that shows only in its outcome.';

/** What keeps a command from being created. */
export const creationRefusals = {
  400: `\`INVALID_JSON\` or \`INVALID_REQUEST\`: the body is not what it should be; \`error\` and \`details\` say where. ${limitRefusals}`,
  409: '`IDEMPOTENCY_KEY_REUSED`: the key came with another request within the last 24 hours.',
  413: '`SCRIPT_TOO_LARGE` or `BODY_TOO_LARGE`: the script has more than 10 MiB, or the whole body 11 MiB or more.',
  415: '`UNSUPPORTED_MEDIA_TYPE`: the body is not `application/json`.',
  429: '`QUEUE_FULL`: too many commands are waiting. `TOO_MANY_STREAMS`: the client has too many streams and waits open.',
  503: '`DRAINING`: the server is shutting down. `STORAGE_UNAVAILABLE`: the database does not answer. `OVERLOADED`: large requests and answers take all the memory that they may. Nothing was stored.',
};

/** Makes the function that answers when a command was created, or was for an earlier request: once it has ended, or `ms` are over. */
export function createdAnswers(app: FastifyInstance, reader: CommandReader) {
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
  return async (reply: FastifyReply, { uuid, isReplay }: Submission, ms: number) => {
    const record = ms === 0 ? null : await lookWhenEnded(uuid, ms, reply);
    reply.code(201).header('location', `/api/v1/commands/${uuid}`);
    if (isReplay) reply.header('idempotency-replayed', 'true');
    return record === null ? { uuid } : { uuid, ...commandBody(record) };
  };
}
