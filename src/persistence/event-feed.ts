/**
 * Gives what becomes of all commands to those who follow it.
 *
 * One loop reads the database for all of them, woken by the journal, else each second for other servers on the same
 * database; it keeps the latest events. A follower takes from these, and holds nothing but its place. One that has fallen
 * behind them, or comes with a place from earlier, reads by itself until it has caught up; what it has got in that way it
 * does not take again, see `event-place.ts`.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { CommandEvents } from '../ports/reader.ts';
import { type Changes, EVERY_COMMAND } from './changes.ts';
import {
  END,
  type EventPlace,
  firstLeft,
  idOf,
  isBehind,
  parsePlace,
  placeAt,
  placeBehind,
  type Snapshot,
} from './event-place.ts';
import type { StoredEvent, StoredEvents } from './sql/events.ts';

/** Most events that are read at once. */
const READ_EVENTS = 500;
/** How many of the latest are kept in memory. */
const KEPT_EVENTS = 5000;
/** How long events are gathered before the next read, in ms: under load there are a hundred commits a second. */
const GATHER_MS = 20;

/** Reads at most `limit` events behind a place. */
export type ReadEvents = (place: EventPlace, limit: number) => Promise<StoredEvents>;

/** An event, and what the read that found it could see. */
type Found = StoredEvent & { snapshot: Snapshot };

export interface EventFeedOptions {
  read: ReadEvents;
  changes: Changes;
  /** Whether an error of a read may pass. */
  mayPass: (error: unknown) => boolean;
}

export class EventFeed {
  readonly #options: EventFeedOptions;
  /** Set while anybody follows. */
  #latest: LatestEvents | undefined;

  constructor(options: EventFeedOptions) {
    this.#options = options;
  }

  /**
   * Gives what happens from a place on, or from now on; an empty batch about each second at least. Ends when `signal`
   * aborts.
   */
  async *follow(from: string | undefined, signal: AbortSignal): AsyncGenerator<CommandEvents> {
    this.#latest ??= new LatestEvents(this.#options);
    const latest = this.#latest;
    latest.followers++;
    try {
      const end = await latest.placeOnceThere(signal);
      let place = from === undefined ? end : parsePlace(from);
      let taken = latest.count;
      let isCatchingUp = from !== undefined;
      if (place !== undefined && from === undefined) yield { lost: false, place: idOf(place), events: [] };
      while (!signal.aborted && place !== undefined) {
        isCatchingUp ||= !latest.has(taken);
        const { count } = latest;
        let found: Found[] | 'lost' | null = isCatchingUp ? await this.#readBehind(place) : latest.after(taken);
        if (found === 'lost') {
          place = latest.place as EventPlace;
          [taken, isCatchingUp] = [count, false];
          yield { lost: true, place: idOf(place), events: [] };
          continue;
        }
        const isUnanswered = found === null;
        found ??= [];
        if (!isCatchingUp) taken += found.length;
        else if (!isUnanswered && found.length < READ_EVENTS) [taken, isCatchingUp] = [count, false];
        const events: CommandEvents['events'] = [];
        for (const event of found) {
          if (isBehind(place, event)) continue;
          place = placeBehind(place, event, event.snapshot);
          const { uuid, status, progress, at } = event;
          events.push({ id: idOf(place), uuid, status, progress, at });
        }
        yield { lost: false, place: idOf(place), events };
        if (isUnanswered || (!isCatchingUp && taken === latest.count)) await latest.turn(signal);
      }
    } finally {
      if (--latest.followers === 0) {
        latest.stop();
        this.#latest = undefined;
      }
    }
  }

  /** Null when the database does not answer. */
  async #readBehind(place: EventPlace): Promise<Found[] | 'lost' | null> {
    const { read, mayPass } = this.#options;
    try {
      const { events, snapshot, trimmedUpTo } = await read(place, READ_EVENTS);
      // One from behind the snapshot is of another database.
      if (trimmedUpTo >= firstLeft(place) || place.next > snapshot.xmax) return 'lost';
      return events.map((event) => ({ ...event, snapshot }));
    } catch (error) {
      if (mayPass(error)) return null;
      throw error;
    }
  }
}

/** The loop that reads for all followers, and the latest of what it has read. */
class LatestEvents {
  followers = 0;
  readonly #options: EventFeedOptions;
  readonly #stopping = new AbortController();
  #place: EventPlace | undefined;
  #events: Found[] = [];
  /** How many are not kept any more. */
  #dropped = 0;
  #error: unknown;
  #turn = Promise.withResolvers<void>();

  constructor(options: EventFeedOptions) {
    this.#options = options;
    void this.#run();
  }

  /** How many there were. */
  get count(): number {
    return this.#dropped + this.#events.length;
  }

  /** Whether all behind the first `taken` are kept. */
  has(taken: number): boolean {
    return taken >= this.#dropped;
  }

  /** Those behind the first `taken`, or some of them. */
  after(taken: number): Found[] {
    const start = taken - this.#dropped;
    return this.#events.slice(start, start + READ_EVENTS);
  }

  /** Behind all that it has read. */
  get place(): EventPlace | undefined {
    return this.#place;
  }

  /** The same; undefined when `signal` aborts before it has. */
  async placeOnceThere(signal: AbortSignal): Promise<EventPlace | undefined> {
    while (this.#place === undefined && !signal.aborted) await this.turn(signal);
    return this.#place;
  }

  /** Resolves when it has looked again. @throws what keeps it from looking. */
  async turn(signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<void>();
    const abort = () => aborted.resolve();
    signal.addEventListener('abort', abort);
    if (!signal.aborted) await Promise.race([this.#turn.promise, aborted.promise]);
    signal.removeEventListener('abort', abort);
    if (this.#error !== undefined) throw this.#error;
  }

  stop(): void {
    this.#stopping.abort();
  }

  async #run(): Promise<void> {
    const { changes, mayPass } = this.#options;
    const { signal } = this.#stopping;
    using watch = changes.watch(EVERY_COMMAND);
    while (!signal.aborted && this.#error === undefined) {
      let isAll = true;
      try {
        isAll = await this.#readOn();
      } catch (error) {
        if (!mayPass(error)) this.#error = error;
      }
      const { resolve } = this.#turn;
      this.#turn = Promise.withResolvers();
      resolve();
      if (!isAll) continue;
      await watch.next(signal);
      await delay(GATHER_MS);
    }
  }

  /** @returns whether that was all. */
  async #readOn(): Promise<boolean> {
    // The first time it only asks where the end is.
    const limit = this.#place === undefined ? 1 : READ_EVENTS;
    const { events, snapshot } = await this.#options.read(this.#place ?? END, limit);
    const isAll = events.length < limit;
    for (const event of events) {
      this.#place = placeBehind(this.#place as EventPlace, event, snapshot);
      this.#events.push({ ...event, snapshot });
    }
    if (isAll) this.#place = placeAt(snapshot);
    const excess = this.#events.length - KEPT_EVENTS;
    if (excess > 0) {
      this.#events.splice(0, excess);
      this.#dropped += excess;
    }
    return isAll;
  }
}
