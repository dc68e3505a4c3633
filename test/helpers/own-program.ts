/** A program of a few lines, run by Node in a process of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

/** @param code a module; its imports begin at this folder. @param before shell commands before Node takes over. */
export async function runModule(code: string, before = ':'): Promise<string> {
  const args = ['--input-type=module-typescript', '--eval', code];
  const child = spawn('bash', ['-c', `${before}; exec "$@"`, 'bash', process.execPath, ...args], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [stdout, [status]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  if (status !== 0) throw new Error(`it ended with ${status}`);
  return stdout;
}
