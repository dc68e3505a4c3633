/** Reads a machine of XState's as plain data. */
import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate';
import { eventOf, transitionsOf } from '../../src/actors/words.ts';
import type { Behaviour, ChartState, ChartTransition, Statechart } from '../../src/statecharts/chart.ts';
import { actionsOf, guardOf } from './words.ts';

/** The statechart of a machine. */
export function describeMachine({ root }: AnyStateMachine): Statechart {
  const nodes = nodesOf(root);
  const transitions = nodes.flatMap(transitionsOf).map((each, i) => describeTransition(each, `${root.id}_${i}`));
  const states = nodes.slice(1).map(describeState);
  return { id: root.id, initial: initialOf(root) ?? '', ...behaviourOf(root), states, transitions };
}

/** A state and all that lies in it, each behind the one that it lies in. */
const nodesOf = (node: AnyStateNode): AnyStateNode[] => [node, ...Object.values(node.states).flatMap(nodesOf)];

/** As a path names it; null for the machine itself. */
const nameOf = ({ path }: AnyStateNode) => (path.length === 0 ? null : path.join('.'));

function initialOf(node: AnyStateNode): string | null {
  const target = Object.keys(node.states).length === 0 ? undefined : node.initial.target?.[0];
  return target === undefined ? null : nameOf(target);
}

function behaviourOf(node: AnyStateNode): Behaviour {
  return {
    invokes: node.invoke.map(({ src }) => `${src}`),
    entry: actionsOf(node.entry),
    exit: actionsOf(node.exit),
  };
}

function describeState(node: AnyStateNode): ChartState {
  if (node.type === 'parallel' || node.type === 'history') throw new Error(`${node.id} is ${node.type}: not drawn yet`);
  const parent = node.parent === undefined ? null : nameOf(node.parent);
  const { id, type } = node;
  return { id, name: nameOf(node) ?? '', parent, type, initial: initialOf(node), ...behaviourOf(node) };
}

function describeTransition(transition: AnyTransitionDefinition, id: string): ChartTransition {
  const [target] = transition.target ?? [];
  return {
    id,
    from: nameOf(transition.source),
    event: eventOf(transition) || null,
    guard: guardOf(transition),
    to: target === undefined ? null : nameOf(target),
    actions: actionsOf(transition.actions),
  };
}
