/** What XState calls the parts of a machine, put the way a person would say it. */
import type { AnyStateNode, AnyTransitionDefinition } from 'xstate';

/** One action or guard, as a machine refers to it: by name, as an object with a type, or as a function of XState's. */
type Reference = string | { type?: string; assignment?: object };

/** Who was invoked under this id by this state, in the words of `setup`. */
function invokedBy(state: AnyStateNode, id: string): string {
  const invoke = state.invoke.find((definition) => definition.id === id);
  return typeof invoke?.src === 'string' ? invoke.src : 'an actor';
}

/** The event of a transition: `stop`, `after grace`, `store is done`, `store failed`; empty when it needs none. */
export function eventOf({ source, eventType }: AnyTransitionDefinition): string {
  const [, kind, rest = ''] = /^xstate\.(after|done\.actor|error\.actor|done\.state)\.(.*)$/.exec(eventType) ?? [];
  switch (kind) {
    case 'after': {
      const delay = rest.slice(0, -`.${source.id}`.length);
      return /^\d+$/.test(delay) ? `after ${delay} ms` : `after ${delay}`;
    }
    case 'done.actor':
      return `${invokedBy(source, rest)} is done`;
    case 'error.actor':
      return `${invokedBy(source, rest)} failed`;
    case 'done.state':
      return 'its last step is done';
    default:
      return eventType;
  }
}

/** The guard of a transition in brackets; `[else]` where it is what remains of others, nothing where it stands alone. */
export function guardOf({ guard, source, eventType }: AnyTransitionDefinition): string {
  if (guard === undefined) return (source.transitions.get(eventType)?.length ?? 0) > 1 ? '[else]' : '';
  return `[${nameOf(guard as Reference) ?? 'a condition'}]`;
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
