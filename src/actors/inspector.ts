/** Shows in the log which transitions the actors take. */
import type { AnyActorRef, InspectionEvent, Snapshot } from 'xstate';

interface DebugLog {
  debug(fields: object, message: string): void;
}

/** Logs each change of state of each command and of the supervisor, at debug level. */
export function logTransitions(log: DebugLog): (event: InspectionEvent) => void {
  return (inspected) => {
    if (inspected.type !== '@xstate.microstep') return;
    const { value } = inspected.snapshot as Snapshot<unknown> & { value?: unknown };
    if (value === undefined) return;
    log.debug(
      { actor: (inspected.actorRef as AnyActorRef).id, event: inspected.event.type, state: value },
      'transition',
    );
  };
}
