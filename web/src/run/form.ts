/** What a person fills in to run a script, and the request that it makes. */
import type { Command, NewCommand } from '../../../src/client/index.ts';
import type { OutputLimitAction } from '../../../src/command.ts';
import { sizeOf, spanOf, textOfSize, wholeOf } from './units.ts';

/** A variable whose value nobody else may see. */
export interface Secret {
  name: string;
  value: string;
}

/** As it is written in the fields. */
export interface Form {
  script: string;
  description: string;
  /** Whether its output shows while it runs. */
  isDurable: boolean;
  /** `NAME=value`, a line each; a value with line breaks as JSON has it, in quotes. */
  env: string;
  secrets: readonly Secret[];
  /** A line each; one with line breaks as JSON has it, in quotes. */
  args: string;
  cwd: string;
  stdin: string;
  /** Whether stdin is written as base64: any bytes, not only text. */
  isBase64: boolean;
  /** `name=text`, a line each. */
  labels: string;
  /** In seconds, or with a unit. */
  timeout: string;
  sandbox: Sandbox;
  nice: string;
  /** In bytes, or with a unit. */
  maxMemory: string;
  maxProcesses: string;
  maxOpenFiles: string;
  onOutputLimit: OutputLimitAction;
  /** Which kind of node it is to run on. */
  nodeLabel: string;
  onLost: LostAction;
  keepsBackground: boolean;
  isPinned: boolean;
}

/** What becomes of a command when whoever ran it is gone. */
export type LostAction = NonNullable<NewCommand['on_lost']>;

export const SANDBOXES = ['off', 'on', 'network'] as const;
export type Sandbox = (typeof SANDBOXES)[number];

export const EMPTY_FORM: Form = {
  script: '',
  description: '',
  isDurable: true,
  env: '',
  secrets: [],
  args: '',
  cwd: '',
  stdin: '',
  isBase64: false,
  labels: '',
  timeout: '',
  sandbox: 'off',
  nice: '',
  maxMemory: '',
  maxProcesses: '',
  maxOpenFiles: '',
  onOutputLimit: 'truncate',
  nodeLabel: '',
  onLost: 'fail',
  keepsBackground: false,
  isPinned: false,
};

/** A line that is none of `NAME=value`. */
export class BadLine extends Error {
  /** The key of the request that it belongs to. */
  readonly key: string;
  readonly line: string;

  constructor(key: string, line: string) {
    super(`a line must be NAME=value: ${line}`);
    this.key = key;
    this.line = line;
  }
}

/**
 * The request; what is left empty is not in it. A number that can't be read stands there as it was typed: so the server says
 * what it must be, and there is one place that knows.
 * @throws BadLine
 */
export function requestOf(form: Form): NewCommand {
  const { script, description, stdin, cwd, sandbox } = form;
  const args = linesOf(form.args).map(meantBy);
  return {
    script,
    ...given({
      description: textOrNone(description),
      env: pairsOrNone(pairsOf('env', form.env)),
      secret_env: pairsOrNone(secretEnvOf(form.secrets)),
      args: args.length > 0 ? args : undefined,
      cwd: textOrNone(cwd),
      stdin: stdin === '' || !form.isBase64 ? textOrNone(stdin) : { base64: stdin.replaceAll(/\s/g, '') },
      labels: pairsOrNone(pairsOf('labels', form.labels)),
      timeout_ms: numberOrNone(form.timeout, spanOf),
      sandbox: sandbox === 'off' ? undefined : sandbox === 'on' || { network: true },
      nice: numberOrNone(form.nice, wholeOf),
      max_memory_bytes: numberOrNone(form.maxMemory, sizeOf),
      max_processes: numberOrNone(form.maxProcesses, wholeOf),
      max_open_files: numberOrNone(form.maxOpenFiles, wholeOf),
      on_output_limit: form.onOutputLimit === 'truncate' ? undefined : form.onOutputLimit,
      node: form.nodeLabel === '' ? undefined : { label: form.nodeLabel },
      on_lost: form.onLost === 'fail' ? undefined : form.onLost,
      keep_background: form.keepsBackground || undefined,
      pinned: form.isPinned || undefined,
    }),
  };
}

/** A form with all that a command was given, but for what nobody is told: its stdin and the values of its secrets. */
export function formOf({ script, description, durable, options, inputs, labels, pinned }: Command): Form {
  const numberOf = (value: number | undefined) => (value === undefined ? '' : `${value}`);
  return {
    script,
    description,
    isDurable: durable,
    env: textOfPairs(inputs?.env),
    secrets: (inputs?.secret_env ?? []).map((name) => ({ name, value: '' })),
    args: (inputs?.args ?? []).map(textOf).join('\n'),
    cwd: inputs?.cwd ?? '',
    stdin: '',
    isBase64: false,
    labels: textOfPairs(labels),
    timeout: options.timeout_ms === undefined ? '' : `${options.timeout_ms / 1000}`,
    sandbox: sandboxOf(options),
    nice: numberOf(options.nice),
    maxMemory: options.max_memory_bytes === undefined ? '' : textOfSize(options.max_memory_bytes),
    maxProcesses: numberOf(options.max_processes),
    maxOpenFiles: numberOf(options.max_open_files),
    onOutputLimit: options.on_output_limit ?? 'truncate',
    nodeLabel: options.node?.label ?? '',
    onLost: options.on_lost ?? 'fail',
    keepsBackground: options.keep_background ?? false,
    isPinned: pinned,
  };
}

export function sandboxOf({ sandbox = false }: Command['options']): Sandbox {
  if (sandbox === false) return 'off';
  return sandbox !== true && sandbox.network === true ? 'network' : 'on';
}

/** As a request has them. A row of which nothing is filled in is none. */
export function secretEnvOf(secrets: readonly Secret[]): Record<string, string> {
  const filled = secrets.filter(({ name, value }) => name !== '' || value !== '');
  return Object.fromEntries(filled.map(({ name, value }) => [name.trim(), value]));
}

/** Writes a text as JSON; by awk, which is wherever a shell is. */
const AS_JSON = String.raw`as_json() { printf '%s\n' "$1" |
  awk '{ gsub(/[\\"]/, "\\\\&"); gsub(/\t/, "\\t"); gsub(/\r/, "\\r"); printf "%s%s", n, $0; n = "\\n" }'; }`;

/**
 * The same request for a shell. Its secrets are not in it, but the variables of the shell with their names: so that they come
 * into no history. They reach curl by its stdin: its arguments every user of the machine can read.
 * @param origin such as `http://localhost:8080`.
 * @throws BadLine
 */
export function curlOf(form: Form, origin: string, hasToken: boolean): string {
  const { secret_env: secretEnv = {}, ...open } = requestOf(form);
  const path = form.isDurable ? '/api/v1/durables/commands' : '/api/v1/commands';
  const token = hasToken ? ` \\\n  -H "Authorization: Bearer $SHELLVISOR_TOKEN"` : '';
  const curl = `curl -s ${origin}${path} \\\n  -H 'Content-Type: application/json'${token} \\\n  `;
  const body = JSON.stringify(open);
  const names = Object.keys(secretEnv);
  if (names.length === 0) return `${curl}--data-raw ${quoted(body)}`;
  const wrong = names.find((name) => !VARIABLE.test(name));
  if (wrong !== undefined) throw new BadLine('secret_env', wrong);
  const values = names.map((name, i) => {
    const before = i === 0 ? `${body.slice(0, -1)},"secret_env":{` : '",';
    return `${quoted(`${before}"${name}":"`)}"$(as_json "$${name}")"`;
  });
  return `${AS_JSON}\nprintf '%s' ${values.join('')}'"}}' |\n  ${curl}--data-binary @-`;
}

/** What a shell takes for the name of a variable. */
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** For a shell, as it is. */
const quoted = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** Without what is undefined. */
function given<Fields extends object>(fields: Fields): Given<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<Fields>;
}
type Given<Fields> = { [Name in keyof Fields]?: NonNullable<Fields[Name]> };

const textOrNone = (text: string) => (text === '' ? undefined : text);
const pairsOrNone = (pairs: Record<string, string>) => (Object.keys(pairs).length === 0 ? undefined : pairs);

function numberOrNone(text: string, read: (text: string) => number | undefined): number | undefined {
  return text.trim() === '' ? undefined : (read(text) ?? (text as unknown as number));
}

const linesOf = (text: string) => text.split('\n').filter((line) => line.trim() !== '');

function pairsOf(key: string, text: string): Record<string, string> {
  const pairs = linesOf(text).map((line) => {
    const at = line.indexOf('=');
    if (at < 1) throw new BadLine(key, line);
    return [line.slice(0, at).trim(), meantBy(line.slice(at + 1))];
  });
  return Object.fromEntries(pairs);
}

const textOfPairs = (pairs: Record<string, string> = {}) =>
  Object.entries(pairs)
    .map(([name, value]) => `${name}=${textOf(value)}`)
    .join('\n');

/** Whether it would be read as another text, or as several, or as none. */
const needsQuotes = (text: string) => text.trim() === '' || text.includes('\n') || isQuoted(text);
const isQuoted = (text: string) => /^".*"$/s.test(text);
const textOf = (value: string) => (needsQuotes(value) ? JSON.stringify(value) : value);

function meantBy(text: string): string {
  if (!isQuoted(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    // What only looks like JSON is meant as it is.
    return text;
  }
}
