/**
 * The rows that a filter lets through, each with the lines of those who take part in it.
 *
 * A line is a column of the diagram. The first is of whoever is outside. Where all is shown a command has one line, with what
 * it has invoked; who ends gives it up, and the next one takes it, so that there are few however many come and go. Where
 * there are more at once than have room, the last line is of all others. Where one command is shown each of its parts keeps a
 * line of its own.
 */
import type { ReadonlySignal } from '@preact/signals';
import type { RowSource } from '../components/use-rows.ts';
import { type Filter, isOfOne, matches } from './filter.ts';
import { commandOf, type Participant, type Row, type Sequence } from './sequence.ts';

/** The line of whoever is outside. */
export const OUTSIDE_LINE = 0;
/** The line of those who have none. */
export const OTHERS_LINE = 11;

/** Who has which line; undefined for those two. */
export type Lines = readonly (Participant | undefined)[];

export interface Shown {
  readonly row: Row;
  /** As they are at that row; those of rows behind each other are the same object as long as none changes. */
  readonly lines: Lines;
  /** The lines that it goes from and to; for a gap they mean nothing. */
  readonly from: number;
  readonly to: number;
}

export class SequenceView implements RowSource {
  readonly version: ReadonlySignal<number>;
  readonly filter: Filter;
  rows: Shown[] = [];
  #next = 0;
  #lines: Lines = [undefined];
  #lineOf = new WeakMap<Participant, number>();

  /** @param version changes with what it is updated from. */
  constructor(filter: Filter, version: ReadonlySignal<number>) {
    this.filter = filter;
    this.version = version;
  }

  /**
   * Takes up what has come since, and lets go of what is not kept any more.
   * @param before the place of the first row that is not to be seen. Once there is nothing else all stays as it is.
   */
  update({ rows, next }: Sequence, before = next): void {
    if (this.#next >= before) return;
    const first = rows[0]?.place ?? next;
    this.rows.splice(
      0,
      indexIn(this.rows, first, ({ row }) => row.place),
    );
    for (const row of rows.slice(placeIn(rows, this.#next), placeIn(rows, before))) {
      if (matches(this.filter, row)) this.rows.push(this.#shown(row));
    }
    this.#next = before;
  }

  get length(): number {
    return this.rows.length;
  }

  keyAt(index: number): string | undefined {
    const place = this.rows[index]?.row.place;
    return place === undefined ? undefined : `${place}`;
  }

  placeOf(key: string): number {
    return this.indexOf(Number(key));
  }

  /** Where the row with this place is; -1: it is not there. */
  indexOf(place: number): number {
    const index = indexIn(this.rows, place, ({ row }) => row.place);
    return this.rows[index]?.row.place === place ? index : -1;
  }

  isFollowed = () => false;

  look(): void {}

  #shown(row: Row): Shown {
    if (row.kind === 'gap') {
      // Nobody of before is known to live.
      this.#lines = [undefined];
      return { row, lines: this.#lines, from: OUTSIDE_LINE, to: OUTSIDE_LINE };
    }
    // Who sends is there before who gets.
    const sender = row.from === undefined ? OUTSIDE_LINE : this.#take(row.from, row.place);
    const to = this.#take(row.to, row.place);
    // Where nobody is known to be its cause it is its own.
    const from = row.from === undefined && row.kind !== 'event' ? to : sender;
    return { row, lines: this.#lines, from, to };
  }

  /** The line of an actor at a row; a free one where it has none. */
  #take(actor: Participant, place: number): number {
    const holder = isOfOne(this.filter) ? actor : (commandOf(actor) ?? actor);
    const had = this.#lineOf.get(holder);
    if (had !== undefined && (had === OTHERS_LINE || this.#lines[had] === holder)) return had;
    const line = hasEnded(holder, place) ? OTHERS_LINE : this.#freeLine(place);
    this.#lineOf.set(holder, line);
    const lines = [...this.#lines];
    // Lines between are of nobody, and nobody has the last one for himself.
    while (lines.length < line) lines.push(undefined);
    lines[line] = line === OTHERS_LINE ? undefined : holder;
    this.#lines = lines;
    return line;
  }

  #freeLine(place: number): number {
    for (let line = OUTSIDE_LINE + 1; line < OTHERS_LINE; line++) {
      const holder = this.#lines[line];
      if (holder === undefined || (!isOfOne(this.filter) && hasEnded(holder, place))) return line;
    }
    return OTHERS_LINE;
  }
}

/** Whether an actor had ended before the row at a place. */
export const hasEnded = ({ endedAt }: Participant, place: number) => endedAt !== undefined && endedAt <= place;

const placeIn = (rows: readonly Row[], place: number) => indexIn(rows, place, (row) => row.place);

/** The index of the first one whose place is not before this one, in a list that is ordered by it. */
function indexIn<Each>(list: readonly Each[], place: number, placeOf: (each: Each) => number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (placeOf(list[middle] as Each) < place) low = middle + 1;
    else high = middle;
  }
  return low;
}
