/** How a command is stopped, by the steps that it took. */
import type { Transition } from '../../../src/client/index.ts';

const TERMINATING = 'executing.terminating';
const KILLING = 'executing.killing';

/** How far the stop of a command is that has not ended; times are ms since the epoch. */
export type Stopping =
  | { state: 'terminating'; since: number; until: number | undefined }
  /** `isWanted`: somebody did not wait for the grace to end. */
  | { state: 'killing'; isWanted: boolean };

/** @returns undefined for a command that nobody stops. */
export function stoppingOf(steps: readonly Transition[] = []): Stopping | undefined {
  const last = steps.at(-1);
  if (last?.to === KILLING) return { state: 'killing', isWanted: isWanted(last) };
  if (last?.to !== TERMINATING) return undefined;
  return {
    state: 'terminating',
    since: Date.parse(last.at),
    until: timeOf(last.until),
  };
}

/** How SIGKILL came to a command. */
export interface Kill {
  /** How long after SIGTERM, in ms; undefined: there was none. */
  afterMs: number | undefined;
  /** Whether somebody did not wait for the grace to end. */
  isWanted: boolean;
}

/** @returns undefined for a command that was not killed, as far as is known. */
export function killOf(steps: readonly Transition[] = []): Kill | undefined {
  const killing = steps.find(({ to }) => to === KILLING);
  if (killing === undefined) return undefined;
  const asked = steps.find(({ to }) => to === TERMINATING);
  const isAskedBefore = asked !== undefined && steps.indexOf(asked) < steps.indexOf(killing);
  return {
    afterMs: isAskedBefore ? Date.parse(killing.at) - Date.parse(asked.at) : undefined,
    isWanted: isWanted(killing),
  };
}

const timeOf = (text: string | undefined) => (text === undefined ? undefined : Date.parse(text));

const isWanted = ({ event }: Transition) => event === 'kill';

/** When the time of a command is over, in ms since the epoch; undefined: there is no timeout, or it does not run. */
export function timeoutOf(steps: readonly Transition[] = []): number | undefined {
  const last = steps.at(-1);
  return last?.to === 'executing.running' ? timeOf(last.until) : undefined;
}

/**
 * How long the grace of a stop still lasts, in whole seconds; undefined: that is not known. Not more than all of it, should
 * the clock of the server be another.
 */
export function secondsLeft({ since, until }: Stopping & { state: 'terminating' }, now: number): number | undefined {
  if (until === undefined) return undefined;
  return Math.ceil(Math.max(0, Math.min(until - now, until - since)) / 1000);
}
