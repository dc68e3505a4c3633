/** Which rows are shown: the parameters of the page's address. */
import { commandOf, type Participant, type Row } from './sequence.ts';

export interface Filter {
  /** The name of an actor, or how it begins; empty: all. */
  readonly of: string;
  /** A part of the name of an event; empty: all. */
  readonly event: string;
}

/** What the sender of events from outside is called in the address. */
export const OUTSIDE = 'outside';

export function filterOf(search: string): Filter {
  const given = new URLSearchParams(search);
  return { of: given.get('of')?.trim() ?? '', event: given.get('event')?.trim() ?? '' };
}

export function addressOf(filter: Partial<Filter>): string {
  const given = Object.entries(filter).filter(([, value]) => value !== '');
  return given.length === 0 ? '/inspector' : `/inspector?${new URLSearchParams(given)}`;
}

/** Whether it is about one command, whose parts are shown each for itself then. */
export const isOfOne = ({ of }: Filter) => of !== '' && of !== OUTSIDE && of !== 'supervisor';

export function matches({ of, event }: Filter, row: Row): boolean {
  if (row.kind === 'gap') return true;
  if (event !== '' && !row.event?.toLowerCase().includes(event.toLowerCase())) return false;
  if (of === '') return true;
  if (of === OUTSIDE) return row.from === undefined && row.kind === 'event';
  return isPartOf(row.to, of) || (row.from !== undefined && isPartOf(row.from, of));
}

/** A command has its parts: what it has invoked. */
const isPartOf = (actor: Participant, of: string) =>
  actor.name.startsWith(of) || commandOf(actor)?.name.startsWith(of) === true;
