/** What XState calls the parts of a machine, put the way a person would say it: in pictures and in what is kept. */
import type { AnyStateNode, AnyTransitionDefinition, StateValue } from 'xstate';

/** The name of a state, dotted where it lies in another one: `executing.running`. */
export function stateOf(value: StateValue): string {
  if (typeof value === 'string') return value;
  return Object.entries(value)
    .map(([name, inner]) => (inner === undefined ? name : `${name}.${stateOf(inner)}`))
    .join();
}

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

/** All transitions that leave a state or happen in it, and what it does by itself. */
export function transitionsOf(node: AnyStateNode): AnyTransitionDefinition[] {
  return [...[...node.transitions.values()].flat(), ...(node.always ?? [])];
}

/** The words for the events of a machine, by what XState calls them. */
export function eventWords(root: AnyStateNode): ReadonlyMap<string, string> {
  const nodesOf = (node: AnyStateNode): AnyStateNode[] => [node, ...Object.values(node.states).flatMap(nodesOf)];
  return new Map(nodesOf(root).flatMap((node) => transitionsOf(node).map((each) => [each.eventType, eventOf(each)])));
}
