/**
 * Tells each step that the machine of a command takes. It is put around the logic of the machine, which stays pure:
 * XState's own `inspect` would be called for each event of each actor there is.
 */
import type { Transition } from '../command.ts';
import { STORED } from '../transitions.ts';
import { type commandMachine, timerOf } from './command.ts';
import { eventWords, stateOf } from './words.ts';

/** The same machine; `record` is called after each step, before anything that the step has started. */
export function recordTransitions(
  machine: typeof commandMachine,
  record: (uuid: string, transition: Transition) => void,
): typeof commandMachine {
  const recording = machine.provide({});
  const words = eventWords(machine.root);
  const { transition } = recording;
  recording.transition = (snapshot, event, scope) => {
    const next = transition(snapshot, event, scope);
    const from = stateOf(snapshot.value);
    const to = stateOf(next.value);
    const name = words.get(event.type) ?? event.type;
    // A second stop changes nothing; and the last step was told with the outcome.
    if (from === to || name === STORED) return next;
    const at = Date.now();
    const ms = timerOf(next);
    record(scope.self.id, { from, event: name, to, at, ...(ms !== undefined && { until: at + ms }) });
    return next;
  };
  return recording;
}
