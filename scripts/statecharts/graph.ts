/** A machine as a graph for Graphviz: a state is a node, a state with states inside is a cluster. */
import type { Attributes, Edge, Graph, HTMLString, Node, Subgraph } from '@viz-js/viz';
import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate';
import { eventOf, transitionsOf } from '../../src/actors/words.ts';
import { actionsOf, guardOf } from './words.ts';

// Colours of our own on a ground of our own, so that the picture reads the same on a light and on a dark page.
const INK = '#1f2933';
const FAINT = '#52606d';
const GROUND = '#ffffff';
/** One that Graphviz knows the widths of. */
export const FONT = 'Helvetica';
const state = { color: '#3e63b8', fillcolor: '#eaf0fd' };
const final = { color: '#2f855a', fillcolor: '#e6f6ec', peripheries: 2 };
/** Each level of nesting is a little darker than the one around it. */
const LEVELS = ['#f7f9fb', '#eceff4', '#e1e6ee'];

/** The graph of a machine. */
export function graphOf(machine: AnyStateMachine): Graph {
  return {
    name: machine.id,
    directed: true,
    graphAttributes: { compound: true, rankdir: 'TB', nodesep: 0.45, ranksep: 0.5, pad: 0.2, bgcolor: GROUND },
    nodeAttributes: {
      shape: 'box',
      style: 'rounded,filled',
      fontname: FONT,
      fontsize: 12,
      fontcolor: INK,
      margin: '0.2,0.08',
    },
    edgeAttributes: { color: FAINT, fontname: FONT, fontsize: 11, fontcolor: INK, arrowsize: 0.8 },
    subgraphs: [cluster(machine.root)],
    edges: [...initialEdges(machine.root), ...transitionEdges(machine.root)],
  };
}

const isCompound = (node: AnyStateNode) => Object.keys(node.states).length > 0;
const dotOf = (node: AnyStateNode) => `${node.id} starts`;
const clusterOf = (node: AnyStateNode) => `cluster ${node.id}`;

function cluster(node: AnyStateNode, level = 0): Subgraph {
  const children = Object.values(node.states);
  return {
    name: clusterOf(node),
    graphAttributes: {
      label: describe(node),
      labeljust: 'l',
      style: 'rounded,filled',
      color: '#9aa5b1',
      fillcolor: LEVELS[Math.min(level, LEVELS.length - 1)] ?? GROUND,
      fontname: FONT,
      fontsize: 12,
      fontcolor: INK,
      margin: 14,
    },
    nodes: [
      { name: dotOf(node), attributes: { shape: 'circle', label: '', width: 0.14, color: INK, fillcolor: INK } },
      ...children.filter((child) => !isCompound(child)).map(leaf),
    ],
    subgraphs: children.filter(isCompound).map((child) => cluster(child, level + 1)),
  };
}

function leaf(node: AnyStateNode): Node {
  return { name: node.id, attributes: { label: describe(node), ...(node.type === 'final' ? final : state) } };
}

/** A state in words: its name, what it does by itself, and the events that it answers without leaving. */
function describe(node: AnyStateNode): HTMLString {
  const inside = transitionsOf(node).filter(({ target }) => target === undefined);
  const does = [
    ...node.invoke.map(({ src }) => `invokes ${src}`),
    ...actionsOf(node.entry).map((action) => `entry / ${action}`),
    ...actionsOf(node.exit).map((action) => `exit / ${action}`),
    ...inside.map(lineOf),
  ];
  return table([
    `<FONT POINT-SIZE="13"><B>${markup(node.key)}</B></FONT>`,
    ...does.map((line) => `<FONT POINT-SIZE="11">${markup(line)}</FONT>`),
  ]);
}

function initialEdges(node: AnyStateNode): Edge[] {
  if (!isCompound(node)) return [];
  const targets = node.initial.target ?? [];
  return [
    ...targets.map((target) => edge(dotOf(node), target, { weight: 10 })),
    ...Object.values(node.states).flatMap(initialEdges),
  ];
}

function transitionEdges(node: AnyStateNode): Edge[] {
  const own = transitionsOf(node).flatMap((transition) =>
    (transition.target ?? []).map((target) => {
      const attributes: Attributes = { label: labelOf(transition) };
      // The straighter the way from each state to the next, the easier the rest is seen.
      if (node.order + 1 === target.order) attributes.weight = 10;
      if (!isCompound(node)) return edge(node.id, target, attributes);
      // Graphviz draws edges between nodes only: this one starts at the last state inside and is cut at the border.
      return edge(lastLeaf(node).id, target, { ...attributes, ltail: clusterOf(node) });
    }),
  );
  return [...own, ...Object.values(node.states).flatMap(transitionEdges)];
}

function edge(tail: string, target: AnyStateNode, attributes: Attributes): Edge {
  if (!isCompound(target)) return { tail, head: target.id, attributes };
  return { tail, head: dotOf(target), attributes: { ...attributes, lhead: clusterOf(target) } };
}

function lastLeaf(node: AnyStateNode): AnyStateNode {
  const last = Object.values(node.states).at(-1);
  return last === undefined ? node : lastLeaf(last);
}

/** A transition on one line: `event [guard] / actions`. */
function lineOf(transition: AnyTransitionDefinition): string {
  const actions = actionsOf(transition.actions).join(', ');
  return [eventOf(transition), guardOf(transition), actions && `/ ${actions}`].filter(Boolean).join(' ');
}

/** The label of an edge: the event in bold, the guard and each action below. */
function labelOf(transition: AnyTransitionDefinition): HTMLString {
  const rows = [eventOf(transition), guardOf(transition), ...actionsOf(transition.actions).map((name) => `/ ${name}`)];
  const [first = '', ...others] = rows.filter(Boolean).map((row) => `&#160;${markup(row)}`);
  return table([`<B>${first}</B>`, ...others]);
}

/** Rows one below the other. Each has one style only: a run of text behind another needs a font as wide as we think. */
function table(rows: string[]): HTMLString {
  const cells = rows.map((row) => `<TR><TD ALIGN="LEFT">${row}</TD></TR>`);
  return { html: `<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">${cells.join('')}</TABLE>` };
}

function markup(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
