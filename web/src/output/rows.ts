/**
 * The rows that lines are shown in: each line is one, or, where they are wrapped, as many as it takes. They are all of one
 * height, so where each is can be computed. Characters are taken to be of one width; of those that are wider the end of a
 * row is beyond the edge, where it can be scrolled to.
 */
import type { ReadonlySignal } from '@preact/signals';
import type { RowSource } from '../components/use-rows.ts';
import type { Span } from './ansi.ts';
import type { Lines } from './lines.ts';

export class OutputRows implements RowSource {
  readonly version: ReadonlySignal<number>;
  readonly #lines: Lines;
  #columns = Number.POSITIVE_INFINITY;
  /** The first row of each line whose rows are counted, and the row behind the last of them. */
  #starts = [0];

  constructor(lines: Lines, version: ReadonlySignal<number>) {
    this.#lines = lines;
    this.version = version;
  }

  /** How many characters a row has; infinite where lines are not wrapped. */
  set columns(columns: number) {
    if (columns === this.#columns) return;
    this.#columns = columns;
    this.#starts = [0];
  }

  get length(): number {
    const { length } = this.#lines;
    if (this.#columns === Number.POSITIVE_INFINITY) return length;
    // The last line may have grown since.
    if (this.#starts.length > 1) this.#starts.pop();
    for (let line = this.#starts.length - 1; line < length; line++) {
      const rows = Math.max(1, Math.ceil(this.#lines.widthAt(line) / this.#columns));
      this.#starts.push((this.#starts[line] ?? 0) + rows);
    }
    return this.#starts[length] ?? 0;
  }

  keyAt(index: number): string {
    const { line, part } = this.at(index);
    return `${line}.${part}`;
  }

  placeOf(key: string): number {
    const [line = 0, part = 0] = key.split('.').map(Number);
    return Math.min(this.rowOf(line) + part, this.rowOf(line + 1) - 1);
  }

  isFollowed = () => false;

  look(): void {}

  /** The first row of a line. */
  rowOf(line: number): number {
    return this.#columns === Number.POSITIVE_INFINITY ? line : (this.#starts[line] ?? 0);
  }

  /** Which line a row belongs to, and which of its rows it is. */
  at(index: number): { line: number; part: number } {
    if (this.#columns === Number.POSITIVE_INFINITY) return { line: index, part: 0 };
    let low = 0;
    let high = this.#starts.length - 2;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#starts[middle] ?? 0) <= index) low = middle;
      else high = middle - 1;
    }
    return { line: low, part: index - (this.#starts[low] ?? 0) };
  }

  spansAt(index: number): Span[] {
    const { line, part } = this.at(index);
    const spans = this.#lines.spansAt(line);
    return this.#columns === Number.POSITIVE_INFINITY ? spans : cut(spans, part * this.#columns, this.#columns);
  }
}

/** So many characters of a line, from one on. */
function cut(spans: readonly Span[], from: number, count: number): Span[] {
  let at = 0;
  return spans.flatMap((span) => {
    const text = span.text.slice(Math.max(0, from - at), Math.max(0, from + count - at));
    at += span.text.length;
    return text === '' ? [] : [{ ...span, text }];
  });
}
