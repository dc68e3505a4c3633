/** Paths of commands, held against the statechart as it is drawn. */
import { describeMachine } from '../../scripts/statecharts/describe.ts';
import { graphOf } from '../../scripts/statecharts/graph.ts';
import { commandMachine } from '../../src/actors/command.ts';

/** A step of a path; `at` does not matter here. */
export interface PathStep {
  from: string | null;
  event: string;
  to: string;
}

/** An arrow of the picture, between nodes or, at the border of a state with states inside, cut there. */
interface Arrow {
  /** The state that it leaves, itself or any inside of it; null: the dot where all begins. */
  tail: string | null;
  event: string;
  /** The state that is entered. */
  head: string;
}

const { edges = [] } = graphOf(describeMachine(commandMachine));
const nameOf = (id: string) => id.replace(/^(cluster )?command\.?/, '');
/** Where the dot of a state leads. */
const initials = new Map(
  edges.filter(({ tail }) => tail.endsWith(' starts')).map(({ tail, head }) => [tail, nameOf(head)]),
);

const textOf = (label: unknown) => /<B>(?:&#160;)?(.*?)<\/B>/.exec((label as { html: string }).html)?.[1] ?? '';

/** All arrows of the picture, but for those from a dot to the state inside. */
const ARROWS: readonly Arrow[] = edges.flatMap(({ tail, head, attributes = {} }): Arrow[] => {
  if (tail === 'command starts') return [{ tail: null, event: '', head: nameOf(head) }];
  if (tail.endsWith(' starts')) return [];
  const { ltail, label } = attributes;
  return [
    {
      tail: nameOf(`${ltail ?? tail}`.replace(/ any$/, '')),
      event: textOf(label),
      head: initials.get(head) ?? nameOf(head),
    },
  ];
});

function isAlong({ tail, event, head }: Arrow, { from, ...step }: PathStep): boolean {
  if (tail === null) return from === null && ['admit', 'readmit'].includes(step.event) && step.to === head;
  return (from === tail || from?.startsWith(`${tail}.`) === true) && step.event === event && step.to === head;
}

/** Whether a step is drawn: the arrow that it goes along, which is that of the innermost state. */
export const arrowOf = (step: PathStep) =>
  ARROWS.filter((arrow) => isAlong(arrow, step)).sort((a, b) => (b.tail?.length ?? 0) - (a.tail?.length ?? 0))[0];

/** The arrows that none of these steps goes along, in words. */
export function unusedArrows(steps: readonly PathStep[]): string[] {
  const used = new Set(steps.map(arrowOf));
  return ARROWS.filter((arrow) => !used.has(arrow)).map(({ tail, event, head }) => `${tail} ${event} ${head}`);
}

/** What is wrong with the path of a command that has ended; null when it is whole, unbroken, drawn and leads to the end. */
export function faultOf(path: readonly PathStep[], status: string): string | null {
  const trace = path.map(({ event, to }) => `${event} → ${to}`).join(', ');
  const last = path.at(-1);
  for (const [i, step] of path.entries()) {
    const before = path[i - 1];
    if (step.from !== null && step.from !== before?.to) return `step ${i} comes from nowhere: ${trace}`;
    const isLost = step.event === 'lost' && (step.to === 'queued' || (step === last && step.to === 'failed'));
    if (arrowOf(step) === undefined && !isLost) return `step ${i} is not drawn: ${trace}`;
    if (before !== undefined && ['executed', 'failed', 'stopped'].includes(before.to)) return `goes on: ${trace}`;
  }
  if (path[0]?.from !== null) return `begins in the middle: ${trace}`;
  return last?.to === status.toLowerCase() ? null : `does not lead to ${status}: ${trace}`;
}
