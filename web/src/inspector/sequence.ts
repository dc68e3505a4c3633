/**
 * What the actors say to each other: each event that one gets, with the state that it led to, and each actor that began.
 *
 * An event is told when it is sent and its state when it has been dealt with, with others in between. Here both are one row,
 * at the place of the event; which event of an actor a state belongs to is known by its name and their order.
 *
 * Invariants:
 * - What is told stands in exactly one row, in the order in which it came, as long as it is kept.
 * - Actors that have ended are known by the rows that name them, and by nothing else.
 */
import type { InspectEvent } from '../../../src/client/index.ts';

/** How much of what is told is kept: the latest. */
export const KEPT = 20_000;

export type Told = Exclude<InspectEvent, { type: 'start' }>;

export interface Participant {
  readonly id: string;
  /** `supervisor`, the uuid of a command, or what that has invoked. */
  name: string;
  /** Who created it; undefined: nobody, or nobody known. */
  parent: Participant | undefined;
  /** Null: it has none, or none is known. */
  state: string | null;
  /** The place of the first row that came after its end; undefined: it lives. */
  endedAt: number | undefined;
}

export interface Message {
  /** `actor`: it was created, or lived already. `snapshot`: it changed by no event that is known. */
  readonly kind: Told['type'];
  /** Which one it is of all that ever came. */
  readonly place: number;
  /** In ms since the epoch. */
  readonly at: number;
  /** Undefined: it came from outside. */
  readonly from: Participant | undefined;
  readonly to: Participant;
  /** As XState names it; undefined: one that lived already was found. */
  readonly event: string | undefined;
  /** The state that it was in before that. */
  before: string | null;
  /** The state that it led to; undefined: that is not known yet. */
  after: string | null | undefined;
  /** How it ended by that; undefined: it did not. */
  end: 'done' | 'error' | 'stopped' | undefined;
  readonly told: Told[];
}

/** The connection broke off: what happened there is not known. */
export interface Gap {
  readonly kind: 'gap';
  readonly place: number;
}

export type Row = Message | Gap;

/** The uuid of the command that an actor is, or belongs to; undefined for the supervisor. */
export function commandOf(actor: Participant): Participant | undefined {
  let found = actor;
  while (found.parent?.parent !== undefined) found = found.parent;
  return found.parent === undefined ? undefined : found;
}

export class Sequence {
  /** Oldest first. */
  rows: Row[] = [];
  /** How much of what was told is not kept any more. */
  dropped = 0;
  /** The place of the next row. */
  next = 0;
  #kept = 0;
  #hasStarted = false;
  readonly #actors = new Map<string, Participant>();
  /** Of each actor the events whose state has not been told. */
  readonly #open = new Map<Participant, Message[]>();

  take(event: InspectEvent): void {
    if (event.type === 'start') this.#begin();
    else if (event.type === 'snapshot') this.#conclude(event);
    else this.#add(event);
  }

  clear(): void {
    this.rows = [];
    this.dropped = 0;
    this.#kept = 0;
  }

  /** Actors of another connection, though they have the same ids, may be others. */
  #begin(): void {
    this.#actors.clear();
    this.#open.clear();
    if (this.#hasStarted) this.rows.push({ kind: 'gap', place: this.next++ });
    this.#hasStarted = true;
  }

  #add(told: Exclude<Told, { type: 'snapshot' }>): void {
    const to = this.#actorOf(told);
    const created = told.type === 'event' && told.event === 'xstate.init' ? this.#creationOf(to) : undefined;
    if (created !== undefined) {
      this.#keep(created, told);
      return;
    }
    // What is told of one that lives already and is no machine looks like a creation, too; that no init follows shows it.
    const isLiving = told.type === 'actor' && told.state !== null;
    this.#push({
      kind: told.type,
      from: told.type === 'actor' ? to.parent : this.#sourceOf(told.source),
      to,
      told,
      event: told.type === 'event' ? told.event : isLiving ? undefined : 'xstate.init',
      after: isLiving ? told.state : undefined,
    });
    if (isLiving) to.state = told.state;
  }

  /** The row of the creation of one that has not been started. */
  #creationOf(actor: Participant): Message | undefined {
    return this.#open.get(actor)?.find(({ kind, told }) => kind === 'actor' && told.length === 1);
  }

  #conclude(told: Extract<Told, { type: 'snapshot' }>): void {
    const to = this.#actorOf(told);
    const open = this.#open.get(to) ?? [];
    const index = open.findIndex(({ event }) => event === told.event);
    const found = open[index];
    // What was sent to it before has led to nothing.
    if (found !== undefined) open.splice(0, index + 1);
    const message = found ?? this.#push({ kind: 'snapshot', from: undefined, to, told, event: told.event });
    if (found !== undefined) this.#keep(found, told);
    message.before = to.state;
    message.after = told.state;
    to.state = told.state;
    if (told.status === 'active') return;
    message.end = told.status;
    to.endedAt = this.next;
    this.#actors.delete(to.id);
    this.#open.delete(to);
  }

  #push({
    told,
    ...row
  }: Pick<Message, 'kind' | 'from' | 'to' | 'event'> & { told: Told; after?: string | null | undefined }): Message {
    const { to } = row;
    const message: Message = {
      after: undefined,
      ...row,
      place: this.next++,
      at: Date.parse(told.at),
      before: to.state,
      end: undefined,
      told: [],
    };
    this.rows.push(message);
    this.#keep(message, told);
    if (message.kind === 'snapshot' || message.after !== undefined) return message;
    const open = this.#open.get(to);
    if (open === undefined) this.#open.set(to, [message]);
    else open.push(message);
    return message;
  }

  #keep(message: Message, told: Told): void {
    message.told.push(told);
    if (message.place >= (this.rows[0]?.place ?? this.next)) this.#kept++;
    if (this.#kept > KEPT + SLACK) this.#drop();
  }

  #drop(): void {
    let count = 0;
    while (this.#kept > KEPT) {
      const row = this.rows[count++];
      if (row === undefined) break;
      const told = row.kind === 'gap' ? 0 : row.told.length;
      this.#kept -= told;
      this.dropped += told;
    }
    this.rows.splice(0, count);
  }

  #actorOf({ actor, name, parent }: Told): Participant {
    const found = this.#known(actor);
    found.name = name;
    if (parent !== null) found.parent ??= this.#known(parent);
    return found;
  }

  #known(id: string): Participant {
    const found = this.#actors.get(id) ?? stranger(id);
    this.#actors.set(id, found);
    return found;
  }

  /** Who sends something though it has ended is kept by the row alone. */
  #sourceOf(id: string | null): Participant | undefined {
    return id === null ? undefined : (this.#actors.get(id) ?? stranger(id));
  }
}

/** One of which nothing else is known. */
const stranger = (id: string): Participant => ({ id, name: id, parent: undefined, state: null, endedAt: undefined });

/** Dropping each alone would move all others each time. */
const SLACK = 500;
