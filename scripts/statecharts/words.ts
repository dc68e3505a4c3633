/** What the statechart of a machine needs in words beside the events. */
import type { AnyTransitionDefinition } from 'xstate';

/** One action or guard, as a machine refers to it: by name, as an object with a type, or as a function of XState's. */
type Reference = string | { type?: string; assignment?: object };

/** The guard of a transition; `else` where it is what remains of others, null where it stands alone. */
export function guardOf({ guard, source, eventType }: AnyTransitionDefinition): string | null {
  if (guard === undefined) return (source.transitions.get(eventType)?.length ?? 0) > 1 ? 'else' : null;
  return nameOf(guard as Reference) ?? 'a condition';
}

/** The names of actions, without those by which XState keeps the timers of `after`. */
export function actionsOf(actions: readonly unknown[]): string[] {
  return actions.map((action) => nameOf(action as Reference)).filter((name) => name !== undefined);
}

function nameOf(reference: Reference): string | undefined {
  const name = typeof reference === 'string' ? reference : reference.type;
  if (name === 'xstate.raise' || name === 'xstate.cancel') return undefined;
  if (name !== 'xstate.assign') return name;
  return `assign ${Object.keys((reference as { assignment?: object }).assignment ?? {}).join(', ')}`.trimEnd();
}
