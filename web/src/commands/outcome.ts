/** How a command ended, in a sentence. */
import type { Command } from '../../../src/client/index.ts';
import type { Words } from '../i18n/en.ts';

/** @returns undefined for one that has not ended. */
export function outcomeOf(command: Command, { outcome }: Words): string | undefined {
  const { reason, exit_code: exitCode, signal, error } = command;
  const end = outcome.end(exitCode, signal);
  switch (reason) {
    case null:
      return undefined;
    case 'exit':
      return outcome.exit(exitCode ?? 0);
    case 'signal':
      return outcome.signal(signal ?? '');
    case 'timeout':
      return outcome.timeout(end);
    case 'output_limit':
      return outcome.outputLimit(end);
    case 'stop':
      return command.started_at === null ? outcome.neverRan : outcome.stop(end);
    case 'shutdown':
      return outcome.shutdown(end);
    case 'spawn_error':
    case 'lost':
      return outcome[reason](error ?? '');
    default:
      return reason satisfies never;
  }
}
