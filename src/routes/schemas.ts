/** The shapes of requests and answers that several routes share. */
import { z } from 'zod';
import { type CommandRecord, type CommandSummary, REASONS, STATUSES } from '../command.ts';
import { CommandNotFound } from '../errors.ts';
import type { Load } from '../ports/commander.ts';
import { InputsJson, inputsToJson } from '../run-inputs.ts';
import { OptionsJson, optionsToJson } from '../run-options.ts';
import { ProgressJson } from '../run-progress.ts';

/** Every error answer. */
export const ErrorBody = z
  .object({
    error: z.string().describe('What went wrong, in a sentence for a person'),
    code: z.string().describe('What went wrong, for a program; never changes its meaning'),
    details: z
      .array(
        z.object({
          path: z.string().describe('Which key of the body or query; empty for the whole'),
          message: z.string().describe('What it must be'),
        }),
      )
      .optional()
      .describe('For a body or query: each thing that is wrong with it'),
  })
  .meta({ id: 'Error' });

const time = (sentence: string) => z.iso.datetime().nullable().describe(sentence);

/** A command as clients see it. The first five fields are those of the first contract and keep their meaning for ever. */
export const CommandBody = z
  .object({
    command_uuid: z.uuid().describe('Its name in all other requests'),
    description: z.string().describe('What the client said about it; empty when it said nothing'),
    script: z.string().describe('The bash script'),
    status: z.enum(STATUSES).describe('QUEUED, EXECUTING, or how it ended: EXECUTED (exit code 0), FAILED, STOPPED'),
    output: z
      .string()
      .describe(
        'What it printed to stdout and stderr, in the order in which it came. ' +
          'Shows while it runs for a durable command, when it ended for a regular one. Bytes that are not UTF-8 are replaced.',
      ),
    durable: z.boolean().describe('Whether its output is stored, and shows, while it runs'),
    options: OptionsJson.describe('How the client wanted it run: the keys of its request that it gave'),
    inputs: InputsJson.nullable().describe(
      'What the client handed to it: the keys of its request that it gave; null in lists',
    ),
    labels: z.record(z.string(), z.string()).describe('What the client finds it by again'),
    rerun_of: z
      .uuid()
      .nullable()
      .describe('The command that this one repeats, which may be deleted by now; null: none'),
    created_by: z
      .string()
      .nullable()
      .describe('The name of the token that it was sent with; null when it was sent with none'),
    node: z
      .string()
      .nullable()
      .describe(
        'The name of the node that runs it, or ran it; null: none yet, or its server shares its work with no others',
      ),
    pinned: z.boolean().describe('Whether it stays when many are deleted: by retention, or by a filter'),
    progress: ProgressJson.nullable().describe(
      'How far it says that it is, by lines written to the descriptor in SHELLVISOR_PROGRESS_FD; null when it has not. ' +
        'The last one stays when it has ended',
    ),
    reason: z.enum(REASONS).nullable().describe('Why it ended; null until it does'),
    exit_code: z
      .int()
      .min(0)
      .max(255)
      .nullable()
      .describe('The exit code of bash, 0–255; null until it ends, and when a signal ended it'),
    signal: z.string().nullable().describe('The signal that ended bash, such as SIGKILL'),
    error: z.string().nullable().describe('What went wrong, where the reason alone does not explain it'),
    stopped_by: z
      .string()
      .nullable()
      .describe(
        'The name of the token with which it was stopped, the first time; null when nothing or nobody by name did',
      ),
    created_at: z.iso.datetime().describe('When the client sent it'),
    started_at: time('When its turn came; null while it waits'),
    ended_at: time('When it ended; null until it does'),
    duration_ms: z.number().nullable().describe('From the start of bash to the end of its last process'),
    output_bytes: z
      .int()
      .min(0)
      .describe('How many bytes it printed, as far as they show; those that were dropped are counted'),
    output_truncated: z
      .boolean()
      .describe(
        'Whether it printed more than the server keeps, so that the middle was dropped; ' +
          '`output` says where, by a line such as `[… 1234 bytes dropped …]`',
      ),
    script_preview: z.boolean().describe('Whether `script` is only the beginning: in lists'),
    output_preview: z.boolean().describe('Whether `output` is only the beginning of what it printed'),
  })
  .meta({ id: 'Command' });

export const isoTime = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());

/** How a command stands, as clients see it. */
export function summaryBody(summary: CommandSummary) {
  return {
    status: summary.status,
    reason: summary.reason,
    exit_code: summary.exitCode,
    signal: summary.signal,
    error: summary.error,
    stopped_by: summary.stoppedBy,
    started_at: isoTime(summary.startedAt),
    ended_at: isoTime(summary.endedAt),
    duration_ms: summary.durationMs,
    output_bytes: summary.outputBytes,
    output_truncated: summary.outputTruncated,
  };
}

/** Turns a stored command into its answer. */
export function commandBody(record: CommandRecord): z.input<typeof CommandBody> {
  return {
    command_uuid: record.uuid,
    description: record.description,
    script: record.script,
    output: record.output,
    durable: record.durable,
    options: optionsToJson(record.options),
    inputs: record.inputs === null ? null : inputsToJson(record.inputs),
    labels: { ...record.labels },
    rerun_of: record.rerunOf,
    created_by: record.createdBy,
    node: record.node,
    pinned: record.pinned,
    progress: record.progress,
    created_at: new Date(record.createdAt).toISOString(),
    ...summaryBody(record),
    script_preview: record.scriptPreview,
    output_preview: record.outputPreview,
  };
}

/** Whether a text has at most so many characters; those of a much longer one are not counted. */
export const isAtMost = (text: string, characters: number) =>
  text.length <= 2 * characters && [...text].length <= characters;

/** How much a server has to do, as clients see it. */
export const QueueBody = z.object({
  waiting: z.int().describe('Commands that wait for a slot'),
  executing: z.int().describe('Slots that are taken'),
  max_parallel: z.int().describe('Slots'),
  max_queued: z.int().describe('Commands that may wait; one more gets 429'),
});

export const queueBody = ({ waiting, executing, maxParallel, maxQueued }: Load): z.input<typeof QueueBody> => ({
  waiting,
  executing,
  max_parallel: maxParallel,
  max_queued: maxQueued,
});

/** With these codes we say when to come again. */
const RETRYABLE = ['429', '503'];
const retryHeaders = { 'Retry-After': { type: 'integer', description: 'Seconds to wait before trying again' } };

/** Error answers by status code, each with the sentence that the documentation says about it. */
export function errors<Code extends number>(sentences: Record<Code, string>) {
  return Object.fromEntries(
    Object.entries<string>(sentences).map(([code, description]) => [
      code,
      ErrorBody.meta({ description, ...(RETRYABLE.includes(code) && { headers: retryHeaders }) }),
    ]),
  ) as Record<Code, typeof ErrorBody>;
}

export const unavailable =
  '`STORAGE_UNAVAILABLE`: the database does not answer. `OVERLOADED`: large requests and answers take all the memory that they may.';

export const tooManyStreams = '`TOO_MANY_STREAMS`: the client has too many streams and waits open.';

/** What all routes of one command may answer. */
export const notFound = {
  404: '`COMMAND_NOT_FOUND`: there is no command with this uuid, or it is not a uuid.',
  503: unavailable,
};
// A malformed uuid names no command: the handlers answer 404 for it, so the schema lets it pass.
export const CommandParams = z.object({ uuid: z.string().describe('The uuid of a command').meta({ format: 'uuid' }) });

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The uuid of a path as PostgreSQL writes it. @throws CommandNotFound when it is none. */
export function uuidOf(params: { uuid: string }): string {
  if (!UUID.test(params.uuid)) throw new CommandNotFound();
  return params.uuid.toLowerCase();
}

/** A query string; a parameter that is not known is refused. */
export function query<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys' ? `unknown: ${issue.keys.join(', ').slice(0, 200)}` : undefined,
  });
}

/** A whole number in a query string. */
export function wholeNumber(name: string, min: number, max: number) {
  const message = `${name} must be a whole number from ${min} to ${max}`;
  return z
    .string(message)
    .refine((text) => /^\d{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max, message)
    .transform(Number)
    .meta({ type: 'integer', minimum: min, maximum: max });
}
