/** The command line in a process of its own, as a person calls it. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Scope } from './scope.ts';
import type { Exit } from './server.ts';

export const PROGRAM = fileURLToPath(new URL('../../bin/shellvisor.js', import.meta.url));

export interface CliProcess {
  readonly child: ChildProcessWithoutNullStreams;
  stdout(): string;
  stderr(): string;
  readonly ended: Promise<Exit & { stdout: string; stderr: string }>;
}

/** Calls it with these arguments; its environment is PATH and what is given. It is killed with the test. */
export function callCli(
  t: Scope,
  args: readonly string[],
  { stdin = '', program = PROGRAM, ...env }: { stdin?: string; program?: string } & Record<string, string> = {},
): CliProcess {
  const { PATH = '', HOME = '', NODE_COMPILE_CACHE = '' } = process.env;
  const child = spawn(process.execPath, [program, ...args], { env: { PATH, HOME, NODE_COMPILE_CACHE, ...env } });
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  child.stdout.on('data', (bytes) => chunks.stdout.push(bytes));
  child.stderr.on('data', (bytes) => chunks.stderr.push(bytes));
  child.stdin.on('error', () => {}).end(stdin);
  const stdout = () => Buffer.concat(chunks.stdout).toString();
  const stderr = () => Buffer.concat(chunks.stderr).toString();
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, stdout: stdout(), stderr: stderr() }));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { child, stdout, stderr, ended };
}
