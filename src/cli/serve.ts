/** Starting the server: the launcher in a process of its own, with our terminal and our signals. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { pathOfProgram } from '../programs.ts';
import { FAILURE } from './exit-codes.ts';

/** Runs until the server ends. @returns its exit code. */
export function serve(): Promise<number> {
  const child = spawn(process.execPath, [pathOfProgram('launcher/main')], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // Ctrl-C at a terminal reaches both of us.
    process.on(signal, () => (signal === 'SIGINT' && process.stdin.isTTY) || child.kill(signal));
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? (signal === null ? FAILURE : 128 + constants.signals[signal])));
  });
}
