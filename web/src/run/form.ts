/** What a person fills in to run a script, and the request that it makes. */
import type { Command, NewCommand } from '../../../src/client/index.ts';

/** As it is written in the fields. */
export interface Form {
  script: string;
  description: string;
  /** Whether its output shows while it runs. */
  isDurable: boolean;
  /** `NAME=value`, a line each; a value with line breaks as JSON has it, in quotes. */
  env: string;
  /** A line each; one with line breaks as JSON has it, in quotes. */
  args: string;
  cwd: string;
  /** In seconds. */
  timeout: string;
  stdin: string;
  /** `name=text`, a line each. */
  labels: string;
}

export const EMPTY_FORM: Form = {
  script: '',
  description: '',
  isDurable: true,
  env: '',
  args: '',
  cwd: '',
  timeout: '',
  stdin: '',
  labels: '',
};

/** A line that is none of `NAME=value`. */
export class BadLine extends Error {
  readonly line: string;

  constructor(line: string) {
    super(`a line must be NAME=value: ${line}`);
    this.line = line;
  }
}

/** The request; what is left empty is not in it. @throws BadLine */
export function requestOf(form: Form): NewCommand {
  const { script, description, stdin, cwd } = form;
  const env = pairsOf(form.env);
  const labels = pairsOf(form.labels);
  const args = linesOf(form.args).map(meantBy);
  const timeout = Number(form.timeout);
  return {
    script,
    ...(description !== '' && { description }),
    ...(Object.keys(env).length > 0 && { env }),
    ...(args.length > 0 && { args }),
    ...(cwd !== '' && { cwd }),
    ...(form.timeout !== '' && { timeout_ms: Math.round(timeout * 1000) }),
    ...(stdin !== '' && { stdin }),
    ...(Object.keys(labels).length > 0 && { labels }),
  };
}

/** A form with all that a command was given, but for what nobody is told: its stdin and its secrets. */
export function formOf({ script, description, durable, options, inputs, labels }: Command): Form {
  return {
    script,
    description,
    isDurable: durable,
    env: textOfPairs(inputs?.env),
    args: (inputs?.args ?? []).map(textOf).join('\n'),
    cwd: inputs?.cwd ?? '',
    timeout: options.timeout_ms === undefined ? '' : `${options.timeout_ms / 1000}`,
    stdin: '',
    labels: textOfPairs(labels),
  };
}

/** The same request for a shell. @param origin such as `http://localhost:8080`. */
export function curlOf(form: Form, origin: string, hasToken: boolean): string {
  const path = form.isDurable ? '/api/v1/durables/commands' : '/api/v1/commands';
  const token = hasToken ? ` \\\n  -H "Authorization: Bearer $SHELLVISOR_TOKEN"` : '';
  const body = JSON.stringify(requestOf(form)).replaceAll("'", String.raw`'\''`);
  return `curl -s ${origin}${path} \\\n  -H 'Content-Type: application/json'${token} \\\n  --data-raw '${body}'`;
}

const linesOf = (text: string) => text.split('\n').filter((line) => line.trim() !== '');

function pairsOf(text: string): Record<string, string> {
  const pairs = linesOf(text).map((line) => {
    const at = line.indexOf('=');
    if (at < 1) throw new BadLine(line);
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
