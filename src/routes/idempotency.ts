/**
 * The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), with which a request may come again: when its
 * answer got lost, the client sends the same once more, and nothing is done twice.
 */
import { hash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { CommandRequest, Idempotency } from '../command.ts';

const KEY_MAX_CHARACTERS = 255;

/** A key is what stands in the header, or in the quotes there: the draft wants these, most clients do without. */
const PLAIN = /^(?!")[\x20-\x7e]*$/;
const QUOTED = /^"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;

/** What a header says; undefined when it is no key. */
function keyIn(text: string): string | undefined {
  const key = PLAIN.test(text) ? text : QUOTED.exec(text)?.[1]?.replaceAll(/\\(.)/g, '$1');
  return key !== undefined && key.length > 0 && key.length <= KEY_MAX_CHARACTERS ? key : undefined;
}

export const IdempotencyHeaders = z.looseObject({
  'idempotency-key': z
    .string('Idempotency-Key must be given once')
    .transform((text, context) => {
      const key = keyIn(text);
      const message = `Idempotency-Key must be 1 to ${KEY_MAX_CHARACTERS} printable ASCII characters, in quotes or not`;
      if (key === undefined) context.addIssue({ code: 'custom', message });
      return key;
    })
    .optional()
    .describe(
      'Makes it safe to send the request again: within 24 hours the same key and request give the first answer again, with ' +
        '`Idempotency-Replayed: true`, and run nothing. A key of your own choice for each request, best a random one',
    )
    .meta({ minLength: 1, maxLength: KEY_MAX_CHARACTERS }),
});

/** A `preValidation` hook: several keys, of which Node has made one text, become a list. */
export async function separateKeys(request: FastifyRequest): Promise<void> {
  if (request.headers['idempotency-key'] === undefined) return;
  const { rawHeaders } = request.raw;
  const isKey = (i: number) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === 'idempotency-key';
  const keys = rawHeaders.filter((_, i) => isKey(i));
  if (keys.length > 1) request.headers = { ...request.headers, 'idempotency-key': keys };
}

/** @param what tells requests of one kind apart: equal for those that ask for the same. */
function idempotencyOf(request: FastifyRequest, kind: string, what: object): Idempotency | undefined {
  const key = request.headers['idempotency-key'];
  if (typeof key !== 'string') return undefined;
  const text = JSON.stringify([kind, what], (_, value) => sorted(value));
  return { key, fingerprint: hash('sha256', text, 'buffer') };
}

/**
 * What makes a request for a new command safe to repeat; undefined when it has no key. The order of its keys does not
 * matter, nor whether it says what is so anyway.
 *
 * Of its secrets only the names count. All the rest is stored beside the fingerprint, so who has the database could try
 * secrets until one fits.
 */
export function idempotencyOfCreation(
  request: FastifyRequest,
  { description, script, durable, options, inputs, secretEnv, labels, pinned }: CommandRequest,
): Idempotency | undefined {
  const { keepBackground = false, onOutputLimit = 'truncate', ...others } = options;
  const { env = {}, cwd, args = [], stdin = new Uint8Array() } = inputs;
  return idempotencyOf(request, durable ? 'durable' : 'regular', {
    description,
    script,
    labels,
    ...(pinned && { pinned }),
    options: { ...others, keepBackground, onOutputLimit },
    inputs: { env, cwd, args, stdin: hash('sha256', stdin) },
    secretNames: Object.keys(secretEnv).sort(),
  });
}

/** The same for a request to run a command again. */
export function idempotencyOfRerun(request: FastifyRequest, uuid: string, secretEnv: object): Idempotency | undefined {
  return idempotencyOf(request, 'rerun', { uuid, secretNames: Object.keys(secretEnv).sort() });
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
