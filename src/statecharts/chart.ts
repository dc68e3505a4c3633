/**
 * A machine as plain data, for those who may not see XState: routes and pictures. It is read from the code by
 * `npm run statecharts`; a test says when what is kept of it is old.
 */

/** What a state, or the machine itself, does by itself; all by their names in the code. */
export interface Behaviour {
  /** The actors that live as long as it is entered. */
  invokes: string[];
  /** The actions that are done when it is entered. */
  entry: string[];
  /** The actions that are done when it is left. */
  exit: string[];
}

/** A machine. */
export interface Statechart extends Behaviour {
  /** Its name, such as `command`. */
  id: string;
  /** The state in which it begins. */
  initial: string;
  /** All its states, each behind the one that it lies in. */
  states: ChartState[];
  transitions: ChartTransition[];
}

export interface ChartState extends Behaviour {
  /** The id of its shape in the picture. */
  id: string;
  /** Dotted where it lies in another one: `executing.running`. */
  name: string;
  /** The state that it lies in; null: in none. */
  parent: string | null;
  type: 'atomic' | 'compound' | 'final';
  /** The state inside that is entered with it; null where there is none. */
  initial: string | null;
}

export interface ChartTransition {
  /** The id of its arrow in the picture; what stays in its state is written there and has none. */
  id: string;
  /** The state that it leaves, whichever of those inside is entered; null: it is taken in all states. */
  from: string | null;
  /** In the words of a person: `stop`, `after grace`, `store is done`; null: it waits for none. */
  event: string | null;
  /** The condition; `else` where it is taken when those of others are not met, null where there is none. */
  guard: string | null;
  /** The state that it enters; null: only actions are done. */
  to: string | null;
  actions: string[];
}

/** The id of the arrow that leads to where a machine, or a state with states inside, begins. */
export const initialId = (id: string) => `${id}_initial`;

/** A state with all that it lies in, itself first. */
export function around(chart: Statechart, name: string): ChartState[] {
  const state = chart.states.find((each) => each.name === name);
  if (state === undefined) return [];
  return [state, ...(state.parent === null ? [] : around(chart, state.parent))];
}

/** A state, and the states inside that are entered with it, itself first. */
export function inside(chart: Statechart, name: string): ChartState[] {
  const state = chart.states.find((each) => each.name === name);
  if (state === undefined) return [];
  return [state, ...(state.initial === null ? [] : inside(chart, state.initial))];
}

/** A step of a machine that was seen. */
export interface SeenStep {
  from: string | null;
  event: string;
  to: string;
}

/** The transition that was taken in a step; undefined where the step is none, as that by which a machine begins. */
export function transitionOf(chart: Statechart, { from, event, to }: SeenStep): ChartTransition | undefined {
  if (from === null) return undefined;
  const taken = chart.transitions.filter(
    (each) => each.event === event && each.to !== null && inside(chart, each.to).at(-1)?.name === to,
  );
  // That of a state comes before that of one around it.
  const left = [...around(chart, from).map(({ name }) => name), null];
  return left.flatMap((state) => taken.find((each) => each.from === state) ?? [])[0];
}
