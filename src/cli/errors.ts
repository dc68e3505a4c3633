/** What goes wrong, as the person at the terminal reads it. */
import { Refused, Unreachable } from '../client/index.ts';
import { FAILURE, READER_GONE, USAGE } from './exit-codes.ts';
import { ReaderGone } from './terminal.ts';

/** Called in a way that makes no sense. */
export class WrongUsage extends Error {}

/** It was done right, and yet it has not come to what was asked for. */
export class Undone extends Error {}

const HINT = 'start one with `shellvisor serve`, or say where it is with --server or SHELLVISOR_URL';

/** One line on stderr, and the exit code. A bug is thrown on, with its stack. */
export function fail(error: unknown): never {
  if (error instanceof ReaderGone) process.exit(READER_GONE);
  let message: string;
  if (error instanceof Refused) {
    const more = error.details.slice(1).map((detail) => `\n  ${detail.message}`);
    message = error.message + more.join('');
  } else if (error instanceof Unreachable) message = `${error.message}; ${HINT}`;
  else if (isBadUrl(error)) message = `the URL of the server is not valid: ${error.input}`;
  else if (error instanceof WrongUsage || error instanceof Undone) message = error.message;
  else throw error;
  process.stderr.write(`shellvisor: ${message}\n`);
  process.exit(error instanceof WrongUsage || isBadUrl(error) ? USAGE : FAILURE);
}

function isBadUrl(error: unknown): error is Error & { input: string } {
  return (error as { code?: string }).code === 'ERR_INVALID_URL';
}
