/**
 * The list as far as it is known, newest first, in pages. Of a page that is far from what is seen only its place is kept:
 * the cursor behind which it begins, and how many rows it had; it can be had again. So a million commands cost a few
 * megabytes.
 *
 * Invariants:
 * - The pages are neighbours: nothing is missing between the end of one and the beginning of the next.
 * - The first page always has its rows.
 */
import type { Row } from './row.ts';

interface Page {
  /** The cursor behind which it begins; undefined: at the newest. */
  readonly behind: string | undefined;
  /** Undefined: they are not kept at the moment. */
  rows: readonly Row[] | undefined;
  count: number;
  /** The last row that it had when it was read first: where it ends, also when that row is gone. */
  last: Pick<Row, 'uuid' | 'createdAt'>;
  /** Whether something in it is known to be old. */
  isStale: boolean;
}

/** A page as the server gives it. */
export interface Fetched {
  rows: readonly Row[];
  /** Where the next page begins; undefined: there is none. */
  cursor: string | undefined;
}

/** What has to be fetched: `limit` rows behind a cursor. */
export interface Wanted {
  behind: string | undefined;
  limit: number;
}

export const PAGE_ROWS = 100;
/** A page that has grown to more is divided. */
const PAGE_MAX_ROWS = 250;
/** No more are fetched at once. */
const FETCHED_MAX_ROWS = 1000;

export class Pages {
  #pages: Page[] = [];
  /** The number of rows before each page. */
  #starts: number[] = [];
  #length = 0;
  readonly #pageOf = new Map<string, Page>();
  #next: string | undefined;
  #isBegun = false;

  /** How many rows are known. */
  get length(): number {
    return this.#length;
  }

  /** Whether there is nothing behind the last row. */
  get isComplete(): boolean {
    return this.#isBegun && this.#next === undefined;
  }

  /** How many rows are in memory. */
  get kept(): number {
    return this.#pageOf.size;
  }

  /** The row at a place; undefined: it is not there, or not kept. */
  at(index: number): Row | undefined {
    const number = this.#numberAt(index);
    return this.#pages[number]?.rows?.[index - (this.#starts[number] ?? 0)];
  }

  /** The place of a row that is kept; -1: of any other. */
  indexOf(uuid: string): number {
    const page = this.#pageOf.get(uuid);
    if (page?.rows === undefined) return -1;
    return (this.#starts[this.#pages.indexOf(page)] ?? 0) + page.rows.findIndex((row) => row.uuid === uuid);
  }

  get(uuid: string): Row | undefined {
    return this.#pageOf.get(uuid)?.rows?.find((row) => row.uuid === uuid);
  }

  /** What to fetch to know more; undefined: all is known. */
  get more(): Wanted | undefined {
    return this.isComplete ? undefined : { behind: this.#next, limit: PAGE_ROWS };
  }

  /** Adds what `more` has asked for. */
  append({ rows, cursor }: Fetched): void {
    const behind = this.#next;
    this.#next = cursor;
    this.#isBegun = true;
    const fresh = rows.filter(({ uuid }) => !this.#pageOf.has(uuid));
    if (fresh.length > 0 || this.#pages.length === 0) this.#pages.push(pageOf(behind, fresh));
    this.#index();
  }

  /** Of the pages that have rows from one place up to another: what to fetch where some are not kept, or old. */
  missing(from: number, to: number): Wanted[] {
    return this.#between(from, to)
      .filter(({ rows, isStale }) => rows === undefined || isStale)
      .map(({ behind, count }) => {
        const limit =
          count > FETCHED_MAX_ROWS ? PAGE_ROWS : Math.min(Math.max(count + 10, PAGE_ROWS), FETCHED_MAX_ROWS);
        return { behind, limit };
      });
  }

  /**
   * Takes in how many rows there are: those behind what is known become one page, of which only the place is kept. How many it
   * really has is found out as it is read.
   */
  reach(total: number): void {
    if (!this.#isBegun || this.isComplete || total <= this.#length) return;
    const last = { uuid: '', createdAt: Number.NEGATIVE_INFINITY };
    this.#pages.push({ behind: this.#next, rows: undefined, count: total - this.#length, last, isStale: false });
    this.#next = undefined;
    this.#index();
  }

  /** The place before which a cursor is wanted to fetch what is at `index`; undefined: there is one near. */
  far(index: number): number | undefined {
    const number = this.#numberAt(index);
    const start = this.#starts[number] ?? 0;
    const isFar = this.#pages[number]?.rows === undefined && index - start > PAGE_MAX_ROWS;
    return isFar ? index - PAGE_MAX_ROWS + 1 : undefined;
  }

  /** Divides the page that has a place, which `far` has given: the cursor behind the row before it is known now. */
  divide(index: number, before: Row, cursor: string): void {
    const number = this.#numberAt(index);
    const page = this.#pages[number];
    const count = index - (this.#starts[number] ?? 0);
    if (page === undefined || page.rows !== undefined || count <= 0) return;
    const first = { ...page, count, last: { uuid: before.uuid, createdAt: before.createdAt } };
    this.#pages.splice(number, 1, first, { ...page, behind: cursor, count: page.count - count });
    this.#index();
  }

  /**
   * Takes what `missing` has asked for, or the newest.
   * @returns false when the newest have nothing in common with what is known: what is between is not known.
   */
  refresh(behind: string | undefined, fetched: Fetched): boolean {
    const number = this.#pages.findIndex((page) => page.behind === behind);
    const page = this.#pages[number];
    if (page === undefined) return true;
    if (number === 0 && isApart(page, fetched)) {
      page.isStale = false;
      return false;
    }
    this.#pages.splice(number, 1, ...this.#renewed(page, fetched));
    if (fetched.cursor === undefined) {
      // It reaches to the end, so there is nothing behind it.
      this.#pages.length = number + 1;
      this.#next = undefined;
    }
    this.#index();
    return true;
  }

  /** What becomes of a page: itself, or two where what was fetched does not reach to its end. */
  #renewed(page: Page, { rows: fetched, cursor }: Fetched): Page[] {
    const { behind, last, isStale } = page;
    if (cursor === undefined) return [pageOf(behind, fetched)];
    const rows = fetched.filter(({ uuid }) => (this.#pageOf.get(uuid) ?? page) === page);
    const end = rows.findIndex(({ uuid }) => uuid === last.uuid);
    if (end >= 0) return [{ ...pageOf(behind, rows.slice(0, end + 1)), last }];
    // Its last row may be gone, so the time counts.
    const inside = rows.filter(({ createdAt }) => createdAt >= last.createdAt);
    if (inside.length < fetched.length) return [{ ...pageOf(behind, inside), last }];
    const overlap = page.rows?.findIndex(({ uuid }) => uuid === rows.at(-1)?.uuid) ?? -1;
    const rest = overlap < 0 ? undefined : page.rows?.slice(overlap + 1);
    if (rest !== undefined && rows.length + rest.length <= PAGE_MAX_ROWS) {
      return [{ ...pageOf(behind, [...rows, ...rest]), last, isStale }];
    }
    const count = rest?.length ?? Math.max(1, page.count - rows.length);
    return [pageOf(behind, rows), { behind: cursor, rows: rest, count, last, isStale }];
  }

  /** Changes a row, if it is kept. */
  update(uuid: string, change: Partial<Row>): void {
    const page = this.#pageOf.get(uuid);
    if (page?.rows !== undefined) page.rows = page.rows.map((row) => (row.uuid === uuid ? { ...row, ...change } : row));
  }

  /** Says that the row is old, as it is kept. @returns whether it is kept. */
  outdate(uuid: string): boolean {
    const page = this.#pageOf.get(uuid);
    if (page !== undefined) page.isStale = true;
    return page !== undefined;
  }

  /** Says that everything that is kept is old. */
  outdateAll(): void {
    for (const page of this.#pages) page.isStale = true;
  }

  /** Takes a row out, if it is kept; of others the next look at their page finds out. */
  remove(uuid: string): void {
    const page = this.#pageOf.get(uuid);
    if (page?.rows === undefined) return;
    page.rows = page.rows.filter((row) => row.uuid !== uuid);
    page.count = page.rows.length;
    this.#index();
  }

  /** Forgets the rows of all pages but the first and those with rows from one place up to another. */
  keep(from: number, to: number): void {
    const kept = new Set([this.#pages[0], ...this.#between(from, to)]);
    const dropped = this.#pages.filter((page) => page.rows !== undefined && !kept.has(page));
    if (dropped.length === 0) return;
    for (const page of dropped) page.rows = undefined;
    this.#index();
  }

  #between(from: number, to: number): Page[] {
    return this.#length === 0 ? this.#pages : this.#pages.slice(this.#numberAt(from), this.#numberAt(to - 1) + 1);
  }

  /** Which page has the row at a place: the last one that begins there or before. */
  #numberAt(index: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#starts[middle] ?? 0) <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #index(): void {
    this.#starts = [];
    this.#length = 0;
    this.#pageOf.clear();
    for (const page of this.#pages) {
      this.#starts.push(this.#length);
      this.#length += page.count;
      for (const { uuid } of page.rows ?? []) this.#pageOf.set(uuid, page);
    }
  }
}

function pageOf(behind: string | undefined, rows: readonly Row[]): Page {
  const last = rows.at(-1) ?? { uuid: '', createdAt: Number.POSITIVE_INFINITY };
  return { behind, rows, count: rows.length, last: { uuid: last.uuid, createdAt: last.createdAt }, isStale: false };
}

/** Whether rows are missing between those that were fetched and those of the first page. */
function isApart({ rows = [], last: end }: Page, { rows: fetched, cursor }: Fetched): boolean {
  const oldest = fetched.at(-1);
  if (cursor === undefined || oldest === undefined) return false;
  const known = new Set(rows.map(({ uuid }) => uuid));
  return oldest.createdAt >= (rows[0] ?? end).createdAt && !fetched.some(({ uuid }) => known.has(uuid));
}
