/** A machine as a graph for Graphviz: a state is a node, a state with states inside is a cluster. */
import type { Attributes, Edge, Graph, HTMLString, Node, Subgraph } from '@viz-js/viz';
import {
  type Behaviour,
  type ChartState,
  type ChartTransition,
  initialId,
  type Statechart,
} from '../../src/statecharts/chart.ts';

// Colours of our own on a ground of our own, so that the picture reads the same on a light and on a dark page.
const INK = '#1f2933';
const FAINT = '#52606d';
const GROUND = '#ffffff';
/** What it is laid out with: the widest of the fonts that Graphviz knows the widths of, so that text in any other one fits. */
export const FONT = 'Verdana';
const state = { color: '#3e63b8', fillcolor: '#eaf0fd' };
const final = { color: '#2f855a', fillcolor: '#e6f6ec', peripheries: 2 };
/** Each level of nesting is a little darker than the one around it. */
const LEVELS = ['#f7f9fb', '#eceff4', '#e1e6ee'];

/** What is drawn as a box around others, or as one alone: a state, or the whole machine, which has no name. */
interface Box extends Behaviour {
  id: string;
  name: string | null;
}

/** The graph of a machine. The ids of what is drawn are those of the statechart, so that it can be found in the picture. */
export function graphOf(chart: Statechart): Graph {
  return {
    name: chart.id,
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
    subgraphs: [cluster(chart, { ...chart, name: null })],
    edges: [...initialEdges(chart), ...transitionEdges(chart)],
  };
}

const isCompound = ({ type }: ChartState) => type === 'compound';
const dotOf = ({ id }: { id: string }) => `${id} starts`;
const anyOf = ({ id }: { id: string }) => `${id} any`;
const clusterOf = ({ id }: { id: string }) => `cluster ${id}`;

function cluster(chart: Statechart, box: Box, level = 0): Subgraph {
  const children = chart.states.filter(({ parent }) => parent === box.name);
  return {
    name: clusterOf(box),
    graphAttributes: {
      id: box.id,
      label: describe(chart, box),
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
      ...pointsOf(chart, box),
      ...children.filter((child) => !isCompound(child)).map((child) => leaf(chart, child)),
    ],
    subgraphs: children.filter(isCompound).map((child) => cluster(chart, child, level + 1)),
  };
}

/** Where a state with states inside begins, and where it may be left from any state inside for another one inside. */
function pointsOf({ transitions }: Statechart, box: Box): Node[] {
  const look = { shape: 'circle', label: '', width: 0.14, color: INK };
  const dot = { name: dotOf(box), attributes: { ...look, id: `${box.id}_start`, fillcolor: INK } };
  if (!transitions.some((each) => each.from === box.name && isInside(each))) return [dot];
  return [dot, { name: anyOf(box), attributes: { ...look, id: `${box.id}_any`, class: 'any', fillcolor: GROUND } }];
}

function leaf(chart: Statechart, box: ChartState): Node {
  const { id, type } = box;
  const look = type === 'final' ? { ...final, class: 'final' } : state;
  return { name: id, attributes: { id, label: describe(chart, box), ...look } };
}

/** A state in words: its name, what it does by itself, and the events that it answers without leaving. */
function describe(chart: Statechart, { id, name, invokes, entry, exit }: Box): HTMLString {
  const stays = chart.transitions.filter(({ from, to }) => from === name && to === null);
  const does = [
    ...invokes.map((actor) => `invokes ${actor}`),
    ...entry.map((action) => `entry / ${action}`),
    ...exit.map((action) => `exit / ${action}`),
    ...stays.map(lineOf),
  ];
  return table([
    `<FONT POINT-SIZE="13"><B>${markup((name ?? id).replace(/^.*\./, ''))}</B></FONT>`,
    ...does.map((line) => `<FONT POINT-SIZE="11">${markup(line)}</FONT>`),
  ]);
}

/** From each dot to the state in which the machine, or a state with states inside, begins. */
function initialEdges(chart: Statechart): Edge[] {
  return [chart, ...chart.states].flatMap((box) => {
    const target = chart.states.find(({ name }) => name === box.initial);
    return target === undefined ? [] : [edge(dotOf(box), target, { id: initialId(box.id), weight: 10 })];
  });
}

/** Whether a transition leads to a state inside the one that it leaves. */
const isInside = ({ from, to }: ChartTransition) => to !== null && (from === null || to.startsWith(`${from}.`));

function transitionEdges(chart: Statechart): Edge[] {
  const { states } = chart;
  const placeOf = (name: string | null) => states.findIndex((each) => each.name === name);
  return chart.transitions.flatMap((transition) => {
    const target = states[placeOf(transition.to)];
    if (target === undefined) return [];
    const attributes: Attributes = { id: transition.id, label: labelOf(transition) };
    // The straighter the way from each state to the next, the easier the rest is seen.
    if (placeOf(transition.from) + 1 === placeOf(transition.to)) attributes.weight = 10;
    const source = states[placeOf(transition.from)];
    if (source !== undefined && !isCompound(source)) return [edge(source.id, target, attributes)];
    if (isInside(transition)) return [edge(anyOf(source ?? chart), target, attributes)];
    // Graphviz draws edges between nodes only: this one starts at the last state inside and is cut at the border.
    const { id } = lastLeaf(states, transition.from);
    return [edge(id, target, { ...attributes, ltail: clusterOf(source ?? chart) })];
  });
}

function edge(tail: string, target: ChartState, attributes: Attributes): Edge {
  if (!isCompound(target)) return { tail, head: target.id, attributes };
  return { tail, head: dotOf(target), attributes: { ...attributes, lhead: clusterOf(target) } };
}

function lastLeaf(states: readonly ChartState[], parent: string | null): ChartState {
  const last = states.findLast((each) => each.parent === parent) as ChartState;
  return isCompound(last) ? lastLeaf(states, last.name) : last;
}

/** A transition on one line: `event [guard] / actions`. */
function lineOf({ event, guard, actions }: ChartTransition): string {
  return [event, guard && `[${guard}]`, actions.length > 0 && `/ ${actions.join(', ')}`].filter(Boolean).join(' ');
}

/** The label of an edge: the event in bold, the guard and each action below. */
function labelOf({ event, guard, actions }: ChartTransition): HTMLString {
  const rows = [event, guard && `[${guard}]`, ...actions.map((name) => `/ ${name}`)];
  const [first = '', ...others] = rows.filter((row) => row !== null).map((row) => `&#160;${markup(row)}`);
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
