/** What is sent to the server, from the options and arguments of `run`. */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import type { NewCommand } from '../client/index.ts';
import { WrongUsage } from './errors.ts';

export interface RunOptions {
  file?: string;
  description?: string;
  env?: Record<string, string>;
  secretEnv?: Record<string, string>;
  label?: Record<string, string>;
  cwd?: string;
  stdin?: string;
  timeout?: number;
  nice?: number;
  node?: string;
  onLost?: 'fail' | 'rerun';
  keepBackground?: true;
  pin?: true;
}

/** @throws WrongUsage when there is no script, or a file can't be read. */
export function newCommand(first: string | undefined, rest: readonly string[], options: RunOptions): NewCommand {
  const { file, description, env, secretEnv, label, cwd, stdin, timeout, nice, node, onLost, keepBackground, pin } =
    options;
  const isInline = file === undefined && first !== undefined && first !== '-';
  const scriptFile = file ?? '-';
  if (!isInline && scriptFile === '-') {
    if (stdin === '-') throw new WrongUsage('script and stdin can not both be read from stdin');
    if (first === undefined && process.stdin.isTTY)
      throw new WrongUsage('there is no script; --help says how to give one');
  }
  const args = file !== undefined && first !== undefined ? [first, ...rest] : rest;
  const request: NewCommand = { script: isInline ? first : textOf(scriptFile) };
  return Object.assign(
    request,
    given({
      description,
      args: args.length === 0 ? undefined : args,
      env,
      secret_env: secretEnv,
      labels: label,
      cwd,
      stdin: stdin === undefined ? undefined : inputOf(stdin),
      timeout_ms: timeout,
      nice,
      node: node === undefined ? undefined : { label: node },
      on_lost: onLost,
      keep_background: keepBackground,
      pinned: pin,
    }),
  );
}

/** Without what is undefined: the server refuses a key without a value. */
function given<Fields extends object>(fields: Fields): Partial<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<Fields>;
}

function textOf(file: string): string {
  const bytes = contentOf(file);
  if (!isUtf8(bytes)) throw new WrongUsage(`${file === '-' ? 'stdin' : file} is not UTF-8, so it is no script`);
  return bytes.toString();
}

/** Text where it is text: that can be read in the request. */
function inputOf(file: string): NonNullable<NewCommand['stdin']> {
  const bytes = contentOf(file);
  return isUtf8(bytes) ? bytes.toString() : { base64: bytes.toString('base64') };
}

function contentOf(file: string): Buffer {
  try {
    return readFileSync(file === '-' ? 0 : file);
  } catch (error) {
    throw new WrongUsage((error as Error).message);
  }
}
