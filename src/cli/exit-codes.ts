/** How the command line ends, so that scripts can tell what happened. */
import { constants } from 'node:os';
import type { Outcome } from '../client/index.ts';

/** It could not do what it was told: no server, refused. As `docker run` does. */
export const FAILURE = 125;
/** It was called in a wrong way. */
export const USAGE = 2;
/** As timeout(1) does. */
const TIMEOUT = 124;
/** As a shell does for what it can't execute. */
const NOT_STARTED = 126;

/** As a shell does for what SIGTERM has ended. */
export const STOPPED = 128 + constants.signals.SIGTERM;
/** As a shell does for what Ctrl-C has ended. */
export const INTERRUPTED = 128 + constants.signals.SIGINT;

/** As a shell does for what nobody reads from any more. */
export const READER_GONE = 128 + constants.signals.SIGPIPE;

const bySignal = (name: string) => 128 + (constants.signals[name as NodeJS.Signals] ?? 0);

/** The exit code for a command that ended: that of its script, or as a shell would tell it. */
export function exitCodeOf({ reason, exit_code, signal }: Outcome): number {
  switch (reason) {
    case 'timeout':
      return TIMEOUT;
    case 'spawn_error':
      return NOT_STARTED;
    case 'stop':
    case 'shutdown':
      return STOPPED;
    case 'exit':
    case 'signal':
      return exit_code ?? bySignal(signal ?? '');
    default:
      return FAILURE;
  }
}
