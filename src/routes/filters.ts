/** The filters of lists, in a query string. */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { REASONS, SEARCHED_SCRIPT_CHARACTERS, STATUSES, type Status } from '../command.ts';
import type { CommandFilter } from '../ports/reader.ts';
import { LABEL } from './inputs.ts';
import { wholeNumber } from './schemas.ts';

/** Bounds of a text to search for, in characters: fewer have no trigram to be found by. */
const TEXT_MIN = 3;
const TEXT_MAX = 200;

/** true or false. */
export const flag = (name: string) =>
  z.enum(['true', 'false'], `${name} must be true or false`).transform((text) => text === 'true');

const listOf = (input: unknown) => [input].flat().flatMap((value) => String(value).split(','));
const isStatus = (text: string): text is Status => (STATUSES as readonly string[]).includes(text);

/** Several values: the parameter several times, or with commas between them. */
const statuses = z
  .unknown()
  .refine((input) => listOf(input).every(isStatus), `status must be one of ${STATUSES.join(', ')}`)
  .transform((input) => [...new Set(listOf(input).filter(isStatus))])
  .meta({ type: 'array', items: { type: 'string', enum: STATUSES } });

const time = (name: string) => {
  const message = `${name} must be a time such as 2026-11-23T22:51:26Z`;
  return z.iso
    .datetime({ offset: true, error: message })
    .transform((text) => new Date(text))
    .refine((date) => date.getTime() >= 0 && date.getUTCFullYear() <= 9999, message)
    .meta({ type: 'string', format: 'date-time' });
};

/** `label.env=prod`: a hook has put these together under one name, as pairs: zod leaves `__proto__` out of a record. */
const labels = z
  .array(z.tuple([z.string(), z.unknown()]), 'label must be written as label.NAME=VALUE')
  .superRefine((given, context) => {
    for (const [name, value] of given) {
      const what = LABEL.test(name) ? (isText(value) ? undefined : 'given once, as text') : 'the name of a label';
      if (what !== undefined) {
        context.addIssue({ code: 'custom', path: [name], message: `label.${name.slice(0, 100)} must be ${what}` });
      }
    }
  })
  .transform((given) => Object.fromEntries(given) as Record<string, string>)
  .meta({ type: 'object', additionalProperties: { type: 'string' } });

const isText = (value: unknown) => typeof value === 'string' && !value.includes('\0') && value.isWellFormed();

const LABEL_PREFIX = 'label.';

/** A `preValidation` hook: puts the labels of a query under one name. */
export async function groupLabels(request: FastifyRequest): Promise<void> {
  const all = Object.entries(request.query as Record<string, unknown>);
  const isLabel = ([name]: [string, unknown]) => name.startsWith(LABEL_PREFIX);
  const given = all.filter(isLabel).map(([name, value]) => [name.slice(LABEL_PREFIX.length), value]);
  if (given.length === 0) return;
  request.query = Object.assign(Object.fromEntries(all.filter((entry) => !isLabel(entry))), {
    label: given,
  });
}

export const filterFields = {
  status: statuses.optional().describe('Only commands with this status, or one of these'),
  durable: flag('durable').optional().describe('Only durable commands, or only regular ones'),
  label: labels
    .optional()
    .describe('Only commands with this label, written as `label.NAME=VALUE`; with several all of them'),
  pinned: flag('pinned').optional().describe('Only pinned commands, or only others'),
  created_by: z
    .string('created_by must be given once, as the name of a token')
    .refine((name) => name !== '' && isText(name), 'created_by must be the name of a token')
    .optional()
    .describe('Only commands that were sent with the token of this name'),
  reason: z
    .enum(REASONS, `reason must be one of ${REASONS.join(', ')}`)
    .optional()
    .describe('Only commands that ended for this reason'),
  exit_code: wholeNumber('exit_code', 0, 255).optional().describe('Only commands that ended with this exit code'),
  created_after: time('created_after')
    .optional()
    .describe('Only commands that were sent later; with this or the next the list goes by the time at which they were'),
  created_before: time('created_before').optional().describe('Only commands that were sent earlier'),
  q: z
    .string(`q must be a text of ${TEXT_MIN} to ${TEXT_MAX} characters`)
    .min(TEXT_MIN, `q must be at least ${TEXT_MIN} characters long`)
    .max(TEXT_MAX, `q must be at most ${TEXT_MAX} characters long`)
    .refine((text) => !text.includes('\0') && text.isWellFormed(), 'q must be Unicode without NUL')
    .optional()
    .describe(
      `Only commands with this text in their description or in the first ${SEARCHED_SCRIPT_CHARACTERS} characters of their ` +
        'script, in capital or small letters',
    ),
};

const Filters = z.object(filterFields);

/** What the parameters of a query ask for. */
export function filterOf(query: z.output<typeof Filters>): CommandFilter {
  return {
    statuses: query.status,
    durable: query.durable,
    labels: query.label,
    pinned: query.pinned,
    createdBy: query.created_by,
    reason: query.reason,
    exitCode: query.exit_code,
    createdAfter: query.created_after,
    createdBefore: query.created_before,
    text: query.q,
  };
}
