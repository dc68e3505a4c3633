/** How a command ended, in a sentence. */
import type { Command, Transition } from '../../../src/client/index.ts';
import { formatDuration } from '../format.ts';
import type { Words } from '../i18n/en.ts';
import { killOf } from './stopping.ts';

/**
 * @param steps that it took; undefined: they are not known.
 * @returns undefined for one that has not ended.
 */
export function outcomeOf(
  command: Command,
  steps: readonly Transition[] | undefined,
  { outcome, locale }: Words,
): string | undefined {
  const { reason, exit_code: exitCode, signal, error } = command;
  const kill = signal === 'SIGKILL' ? killOf(steps) : undefined;
  const after = kill?.afterMs === undefined ? undefined : formatDuration(kill.afterMs, locale);
  const end = kill === undefined ? outcome.end(exitCode, signal) : outcome.killed(after, kill.isWanted);
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
