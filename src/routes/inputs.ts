/** What a request hands to its script: the keys that it may have, and their bounds. */
import { z } from 'zod';
import { actsBeforeScript, isServersVariable, STRINGS_MAX_BYTES, stringsBytes } from '../command.ts';
import { StringsTooLarge } from '../errors.ts';
import { isAtMost } from './schemas.ts';

/** Longest string that execve(2) takes (MAX_ARG_STRLEN), in bytes, without the NUL at its end. */
const STRING_MAX_BYTES = 128 * 1024 - 1;
const VARIABLES_MAX = 1000;
const SECRETS_MAX = 100;
/** A shorter one stands in too much that is none. */
const SECRET_MIN_BYTES = 6;
const ARGS_MAX = 1000;
/** Longest path that the kernel takes (PATH_MAX), without the NUL at its end. */
const PATH_MAX_BYTES = 4095;
const LABELS_MAX = 64;
const LABEL_MAX_CHARACTERS = 255;

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
export const LABEL = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/;

/** What is wrong, and at which of its keys if at one; the sentence goes on where the name of the field ends. */
type Problem = { key?: string | number; sentence: string };

/** What is wrong with a text that a C string has to hold. */
function textProblem(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'must be a string';
  if (value.includes('\0')) return 'must not contain NUL characters';
  if (!value.isWellFormed()) return 'must be valid Unicode';
  return undefined;
}

/** A name as it may be repeated to whoever has sent it. */
const quoted = (name: string) => JSON.stringify(name.slice(0, 100));

function variableProblem(name: string, value: unknown): Problem | undefined {
  if (!VARIABLE.test(name)) {
    return { sentence: `must have names of letters, digits and _ that begin with no digit, not ${quoted(name)}` };
  }
  const key = name.slice(0, 100);
  if (isServersVariable(name)) return { key, sentence: 'is not possible: the server sets these names itself' };
  if (actsBeforeScript(name)) {
    return { key, sentence: 'is not possible: bash must start without it; set it in the script' };
  }
  const problem = textProblem(value);
  if (problem !== undefined) return { key, sentence: problem };
  const most = STRING_MAX_BYTES - name.length - 1;
  if (Buffer.byteLength(value as string) > most) return { key, sentence: `must be at most ${most} bytes long` };
  return undefined;
}

function variablesProblem(variables: Record<string, unknown>, most = VARIABLES_MAX): Problem | undefined {
  const entries = Object.entries(variables);
  if (entries.length > most) return { sentence: `must have at most ${most} variables` };
  for (const [name, value] of entries) {
    const problem = variableProblem(name, value);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function secretsProblem(secrets: Record<string, unknown>): Problem | undefined {
  const problem = variablesProblem(secrets, SECRETS_MAX);
  if (problem !== undefined) return problem;
  const short = Object.entries(secrets).find(([, value]) => Buffer.byteLength(value as string) < SECRET_MIN_BYTES);
  if (short === undefined) return undefined;
  return {
    key: short[0],
    sentence: `must be at least ${SECRET_MIN_BYTES} bytes long: a shorter one can not be masked`,
  };
}

function argsProblem(args: unknown[]): Problem | undefined {
  if (args.length > ARGS_MAX) return { sentence: `must have at most ${ARGS_MAX} entries` };
  for (const [key, arg] of args.entries()) {
    const problem = textProblem(arg);
    if (problem !== undefined) return { key, sentence: problem };
    const bytes = Buffer.byteLength(arg as string);
    if (bytes > STRING_MAX_BYTES) return { key, sentence: `must be at most ${STRING_MAX_BYTES} bytes long` };
  }
  return undefined;
}

function labelsProblem(labels: Record<string, unknown>): Problem | undefined {
  const entries = Object.entries(labels);
  if (entries.length > LABELS_MAX) return { sentence: `must have at most ${LABELS_MAX} entries` };
  for (const [key, value] of entries) {
    if (!LABEL.test(key)) {
      const what = 'letters, digits and . _ - /, at most 63, beginning with a letter or digit';
      return { sentence: `must have names of ${what}, not ${quoted(key)}` };
    }
    const problem = textProblem(value);
    if (problem !== undefined) return { key, sentence: problem };
    if (!isAtMost(value as string, LABEL_MAX_CHARACTERS)) {
      return { key, sentence: `must be at most ${LABEL_MAX_CHARACTERS} characters long` };
    }
  }
  return undefined;
}

/** Tells only the first thing that is wrong: of ten thousand variables each could be. */
function check<Value>(field: string, problemOf: (value: Value) => Problem | undefined) {
  return (value: Value, context: z.RefinementCtx) => {
    const problem = problemOf(value);
    if (problem === undefined) return;
    const { key, sentence } = problem;
    const place = key === undefined ? field : typeof key === 'number' ? `${field}[${key}]` : `${field}.${key}`;
    context.addIssue({
      code: 'custom',
      message: `${place} ${sentence}`,
      path: key === undefined ? [] : [key],
      // What looks at the request as a whole relies on its parts.
      continue: false,
    });
  };
}

const textMap = (field: string, problemOf: (value: Record<string, unknown>) => Problem | undefined) =>
  z
    .record(z.string(), z.unknown(), `${field} must be an object of strings`)
    .superRefine(check(field, problemOf))
    .transform((map) => map as Record<string, string>)
    .optional();

/** The keys of a request, each with the sentence that a wrong value is answered with. */
export const inputFields = {
  env: textMap('env', (variables) => variablesProblem(variables))
    .describe('Environment variables for it, beside those that every script has')
    .meta({ additionalProperties: { type: 'string' }, maxProperties: VARIABLES_MAX }),
  secret_env: textMap('secret_env', secretsProblem)
    .describe(
      'The same for values that nobody else may see: at least 6 bytes each, they are stored nowhere, and `***` stands for ' +
        'them in what it prints',
    )
    .meta({ additionalProperties: { type: 'string', minLength: 1 }, maxProperties: SECRETS_MAX, writeOnly: true }),
  cwd: z
    .string('cwd must be a string')
    .refine((path) => path.startsWith('/') && Buffer.byteLength(path) <= PATH_MAX_BYTES, {
      error: `cwd must be an absolute path of at most ${PATH_MAX_BYTES} bytes`,
      abort: true,
    })
    .superRefine(
      check<string>('cwd', (path) => {
        const sentence = textProblem(path);
        return sentence === undefined ? undefined : { sentence };
      }),
    )
    .optional()
    .describe(
      'The folder that it starts in, an absolute path; unless given, an empty one of its own, which goes with it',
    ),
  args: z
    .array(z.unknown(), 'args must be an array of strings')
    .superRefine(check('args', argsProblem))
    .transform((args) => args as string[])
    .optional()
    .describe('Its arguments: `$1` and so on')
    .meta({ items: { type: 'string' }, maxItems: ARGS_MAX }),
};

/** Whether this is base64 (RFC 4648, with its padding). */
const isBase64 = (text: string) => Buffer.from(text, 'base64').toString('base64') === text;

const STDIN = 'stdin must be a string or {"base64": "…"}';

/** What the script reads from its stdin, as bytes. */
export const stdinField = z
  .union(
    [
      z.string().refine((text) => text.isWellFormed(), 'stdin must be valid Unicode'),
      z.strictObject({ base64: z.string().refine(isBase64, 'stdin.base64 must be base64, with its padding') }, STDIN),
    ],
    STDIN,
  )
  .transform(
    (given): Uint8Array => (typeof given === 'string' ? Buffer.from(given) : Buffer.from(given.base64, 'base64')),
  )
  .optional()
  .describe('What it reads from its stdin: text, or any bytes as base64; unless given, nothing');

/** The labels of a request. */
export const labelsField = textMap('labels', labelsProblem)
  .describe(
    'What to find it by again: up to 64 names of letters, digits and `.`, `_`, `-`, `/`, each with a text of up to 255 characters',
  )
  .meta({ additionalProperties: { type: 'string' }, maxProperties: LABELS_MAX });

interface Environment {
  env?: Readonly<Record<string, string>> | undefined;
  secret_env?: Readonly<Record<string, string>> | undefined;
  args?: readonly string[] | undefined;
  on_lost?: 'fail' | 'rerun' | undefined;
}

/** What is wrong with the inputs of a request as a whole. */
export function checkInputs(
  { env = {}, secret_env = {}, args = [], on_lost }: Environment,
  context: z.RefinementCtx,
): void {
  const twice = Object.keys(secret_env).find((name) => Object.hasOwn(env, name));
  if (twice !== undefined) {
    const message = `secret_env.${twice} must not be in env as well`;
    context.addIssue({ code: 'custom', message, path: ['secret_env', twice] });
  }
  if (on_lost === 'rerun' && Object.keys(secret_env).length > 0) {
    const message = 'on_lost must not be rerun with secret_env, whose values are stored nowhere';
    context.addIssue({ code: 'custom', message, path: ['on_lost'] });
  }
  if (stringsBytes({ env, args }, secret_env) <= STRINGS_MAX_BYTES) return;
  context.addIssue({ code: 'custom', message: new StringsTooLarge(STRINGS_MAX_BYTES).message, path: [] });
}
