/**
 * How far somebody has come in the events of all commands.
 *
 * Events become visible when their transactions commit, which is not the order of any number that they have. So a place is
 * not one number: it says which transactions have been passed, as PostgreSQL's own snapshots do (`pg_snapshot`). What is
 * visible and does not belong to these is new. That misses nothing and gives nothing twice, however late a transaction
 * commits, and waits for none.
 */

/** All events were given of the transactions before `next`, but for those in `open`; of `xid` those up to `seq`. */
export interface EventPlace {
  next: number;
  /** Transactions before `next` that had not ended. */
  open: readonly number[];
  xid: number;
  seq: number;
}

/** Which transactions an answer of the database could see: all before `xmax`, but for those that were running. */
export interface Snapshot {
  xmax: number;
  running: readonly number[];
}

/** Reads what PostgreSQL writes: `xmin:xmax:xip,…`. */
export function parseSnapshot(text: string): Snapshot {
  const [, xmax = '', running = ''] = text.split(':');
  return { xmax: Number(xmax), running: running === '' ? [] : running.split(',').map(Number) };
}

/** The place of who has seen all that a snapshot shows. */
export const placeAt = ({ xmax, running }: Snapshot): EventPlace => ({ next: xmax, open: running, xid: 0, seq: 0 });

/** Behind all that can ever be. */
export const END: EventPlace = { next: Number.MAX_SAFE_INTEGER, open: [], xid: 0, seq: 0 };

interface Numbered {
  xid: number;
  seq: number;
}

/** Whether whoever is at a place was given this event. */
export function isBehind({ next, open, xid, seq }: EventPlace, event: Numbered): boolean {
  if (event.xid === xid) return event.seq <= seq;
  return event.xid < next && !open.includes(event.xid);
}

/** The place behind an event, for who takes what a snapshot shows in the order of transactions and numbers. */
export function placeBehind({ next, open }: EventPlace, { xid, seq }: Numbered, { running }: Snapshot): EventPlace {
  // One before this that has ended had its turn, or has no events.
  const left = open.filter((other) => other > xid || (other < xid && running.includes(other)));
  if (xid < next) return { next, open: left, xid, seq };
  return { next: xid + 1, open: [...left, ...running.filter((other) => other >= next && other < xid)], xid, seq };
}

/** The first transaction of which events may not have been given. */
export const firstLeft = ({ next, open, xid }: EventPlace) => Math.min(next, ...open, ...(xid === 0 ? [] : [xid]));

/** A place as clients keep it: `next.xid.seq`, and the open ones. */
export function idOf({ next, open, xid, seq }: EventPlace): string {
  return [next, xid, seq, ...open].join('.');
}

/** Reads what `idOf` has written; a number alone is that of the first transaction that was not passed. */
export function parsePlace(id: string): EventPlace {
  const [next = 0, xid = 0, seq = 0, ...open] = id.split('.').map(Number);
  return { next, open, xid, seq };
}
