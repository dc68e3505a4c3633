/**
 * The list of commands as it is at every moment: fetched page by page as far as a person looks, and kept up to date by the
 * events of the server. An event only says that something has changed: what, the next look at the page tells, one for
 * all changes since the last. The status alone is shown at once.
 */
import { signal } from '@preact/signals';
import { type ListEvent, type ListQuery, Refused, type Shellvisor, Unreachable } from '../../../src/client/index.ts';
import type { RowSource } from '../components/use-rows.ts';
import { onEvents } from '../events.ts';
import { withSession } from '../session.ts';
import { type Fetched, PAGE_ROWS, Pages, type Wanted } from './pages.ts';
import { ROW_FIELDS, rowOf } from './row.ts';

/** How long changes are gathered before the server is asked, in ms. */
const GATHER_MS = 100;
/** How many rows before and behind what is seen are kept, at least. */
const MARGIN_ROWS = 300;
/** When to ask again after a failure that may pass, in ms. */
const RETRY_MS = 2000;
/** How often at most the server is asked how many there are, in ms: it has to count them. */
const COUNT_MS = 10_000;
/** How many rows are fetched at once at most. */
const APPENDED_ROWS_MAX = 500;
/** How close to the end of what is known a person comes before more is fetched, in rows. */
const AHEAD_ROWS = 60;

/** With rows that are known they stay to be seen, whatever fails. */
export type ListState = 'loading' | 'ready' | 'failed';

export class LiveList implements RowSource {
  pages = new Pages();
  /** Changes with the rows. */
  readonly version = signal(0);
  readonly state = signal<ListState>('loading');
  /** What went wrong. */
  readonly failure = signal<unknown>(undefined);
  /** How many commands match; undefined: not known yet. */
  readonly total = signal<number | undefined>(undefined);
  /** Whether more has come than can be put in front of what is known: `reload` shows it. */
  readonly isBehind = signal(false);
  /** Whether the person looks at the newest and wants to see those that come. */
  isFollowed: () => boolean = () => true;

  readonly #client: Shellvisor;
  readonly #query: ListQuery;
  #seen = { from: 0, to: 0 };
  #appended = PAGE_ROWS;
  #hasNews = false;
  #isAsking = false;
  #isStopped = false;
  #willShow = false;
  #willCount = false;
  #countedAt = Number.NEGATIVE_INFINITY;
  readonly #leave: () => void;

  constructor(client: Shellvisor, query: ListQuery) {
    this.#client = client;
    this.#query = query;
    this.#leave = onEvents((event) => this.#take(event));
    void this.#work();
  }

  get length(): number {
    return this.pages.length;
  }

  keyAt(index: number): string | undefined {
    return this.pages.at(index)?.uuid;
  }

  placeOf(uuid: string): number {
    return this.pages.indexOf(uuid);
  }

  stop(): void {
    this.#isStopped = true;
    this.#leave();
  }

  /** Says which rows are seen: those around them are fetched, and others forgotten. */
  look(from: number, to: number): void {
    this.#seen = { from, to };
    this.pages.keep(Math.max(0, from - MARGIN_ROWS), to + MARGIN_ROWS);
    void this.#work();
  }

  /** Begins anew with the newest. */
  async reload(): Promise<void> {
    try {
      const pages = new Pages();
      pages.append(await this.#fetch({ behind: undefined, limit: PAGE_ROWS }));
      this.pages = pages;
      this.#seen = { from: 0, to: 0 };
      this.isBehind.value = false;
      this.#show();
      this.#countSoon();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Makes the list as long as it is, so that one can go to its end. What is between is fetched when it is seen. */
  async reachEnd(): Promise<void> {
    if (this.pages.isComplete) return;
    if (this.total.value === undefined) await this.#count();
    this.pages.reach(this.total.value ?? 0);
  }

  retry(): void {
    this.state.value = 'loading';
    this.#askAgain();
  }

  #take(event: ListEvent): void {
    this.#apply(event);
    this.#show();
    // Of a progress and of a deletion all is said.
    if (event.type !== 'progress' && event.type !== 'deleted') this.#askAgain();
    if (event.type !== 'progress' && event.type !== 'status') this.#countSoon();
  }

  #apply(event: ListEvent): void {
    switch (event.type) {
      case 'progress':
        this.pages.update(event.command_uuid, { percent: event.percent });
        return;
      case 'deleted':
        this.pages.remove(event.command_uuid);
        return;
      case 'status':
        // What else has changed with it the next look tells.
        if (this.pages.outdate(event.command_uuid)) this.pages.update(event.command_uuid, { status: event.status });
        return;
      case 'created':
        return;
      case 'start':
      case 'reset':
        this.pages.outdateAll();
        return;
      default:
        event satisfies never;
    }
  }

  /** Asks the server for what is wanted until nothing is; one question at a time. */
  async #work(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      for (;;) {
        if (this.#hasNews) {
          await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
          this.#hasNews = false;
          if (this.#isStopped) return;
          await this.#lookAtNewest();
        }
        const { from, to } = this.#seen;
        const first = Math.max(0, from - AHEAD_ROWS);
        const far = this.pages.far(first);
        const [missing] = this.pages.missing(first, to + AHEAD_ROWS);
        const { more } = this.pages;
        if (this.#isStopped) return;
        if (far !== undefined) await this.#approach(far);
        else if (missing !== undefined) await this.#refresh(missing);
        else if (more !== undefined && to + AHEAD_ROWS >= this.pages.length) await this.#append(this.#moreThan(more));
        else if (!this.#hasNews) return;
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isAsking = false;
    }
  }

  /** Who has come to the end faster than it grows gets larger pages. */
  #moreThan(wanted: Wanted): Wanted {
    const isAtEnd = this.pages.length > 0 && this.#seen.to >= this.pages.length;
    this.#appended = isAtEnd ? Math.min(2 * this.#appended, APPENDED_ROWS_MAX) : PAGE_ROWS;
    return { ...wanted, limit: this.#appended };
  }

  /** Finds the cursor for a place that is far from those that are known. It costs the server the more the deeper that is. */
  async #approach(index: number): Promise<void> {
    const { pages } = this;
    const { rows, cursor } = await this.#fetch({ behind: undefined, limit: 1 }, { offset: index - 1 });
    const [before] = rows;
    if (before !== undefined && cursor !== undefined) pages.divide(index, before, cursor);
    // There are fewer by now: begin with what there is.
    else await this.reload();
  }

  #lookAtNewest(): Promise<void> {
    return this.pages.length === 0 ? this.reload() : this.#refresh({ behind: undefined, limit: PAGE_ROWS });
  }

  async #append(wanted: Wanted): Promise<void> {
    const { pages } = this;
    pages.append(await this.#fetch(wanted));
    this.#show();
    if (wanted.behind === undefined) this.#countSoon();
  }

  async #refresh(wanted: Wanted): Promise<void> {
    const { pages } = this;
    const isWhole = pages.refresh(wanted.behind, await this.#fetch(wanted));
    this.#show();
    if (isWhole) return;
    if (this.isFollowed()) await this.reload();
    else this.isBehind.value = true;
  }

  async #fetch({ behind: cursor, limit }: Wanted, more: ListQuery = {}): Promise<Fetched> {
    const query = { ...this.#query, ...more, limit, cursor, output: false, fields: ROW_FIELDS.join() };
    const page = await withSession(this.#client.page(query));
    if (!this.#isStopped) this.state.value = 'ready';
    return { rows: page.commands.map(rowOf), cursor: page.cursor };
  }

  #countSoon(): void {
    if (this.#willCount) return;
    this.#willCount = true;
    setTimeout(() => void this.#count(), this.#countedAt + COUNT_MS - performance.now());
  }

  async #count(): Promise<void> {
    this.#willCount = false;
    this.#countedAt = performance.now();
    if (this.#isStopped) return;
    const query = { ...this.#query, limit: 1, count: true, fields: 'command_uuid' };
    // Whoever asks for rows meets the same problem, and says so.
    const page = await withSession(this.#client.page(query)).catch(() => undefined);
    if (page?.total !== undefined) this.total.value = page.total;
  }

  /** Shows all changes of a moment at once, with the next picture that the screen takes. */
  #show(): void {
    if (this.#willShow) return;
    this.#willShow = true;
    requestAnimationFrame(() => {
      this.#willShow = false;
      this.version.value++;
    });
  }

  #fail(error: unknown): void {
    if (this.#isStopped) return;
    this.failure.value = error;
    this.state.value = 'failed';
    if (error instanceof Unreachable || (error instanceof Refused && error.mayPass)) {
      setTimeout(() => this.#askAgain(), RETRY_MS);
    }
  }

  #askAgain(): void {
    this.#hasNews = true;
    void this.#work();
  }
}
