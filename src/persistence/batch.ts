/** A batch of the journal: what is committed together, in the order of a command's life. */
import type { DatabasePool } from 'slonik';
import type { NewCommand, OutputLimit } from '../command.ts';
import type { Begun } from '../ports/journal.ts';
import type { OutputBuffer } from './output-buffer.ts';
import {
  type Begin,
  beginCommands,
  type Finish,
  finishCommands,
  type Inserted,
  insertCommands,
} from './sql/commands.ts';
import type { Connection } from './sql/connection.ts';
import { appendOutput, type Cut, cutOutput, dropOutput, type OutputRow } from './sql/output.ts';
import { type ProgressRow, storeProgress } from './sql/progress.ts';
import { appendTransitions, type StepRow } from './sql/transitions.ts';

/** What waits for its commit, and who waits for that. */
export interface Entry<Item, Result> {
  item: Item;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

export interface InsertEntry extends Entry<NewCommand, boolean> {
  /** When its client gives up, by `steadyNow`. */
  deadline: number;
  /** Its client was told that nothing was stored; should it be committed all the same, it is withdrawn. */
  abandoned: boolean;
  /** Called when it can't be, since a repeat of its request has been told of it. */
  onKept: (() => void) | undefined;
}

/** How much it printed, and what is left of its path, is known once all of that is written. */
export type FinishItem = Omit<Finish, 'outputBytes' | 'path'>;

/** What is committed together. */
export interface Batch {
  inserts: InsertEntry[];
  begins: Entry<Begin, Begun | null>[];
  /** Those that have waited long enough for the outcome of their command. */
  transitions: StepRow[];
  output: OutputRow[];
  /** Whose output that is. */
  taken: OutputBuffer[];
  /** What falls out of the tails of their commands... */
  cuts: Cut[];
  /** ...and, to the byte, of those that end. */
  lastCuts: Cut[];
  progress: ProgressRow[];
  finishes: Entry<Finish, void>[];
}

/** What a batch brought to light. */
export interface Committed {
  /** What is to be run of the commands that were begun. */
  begun: Map<string, Begun>;
  inserted: Inserted;
}

/** Where batches go. */
export interface BatchTarget {
  pool: DatabasePool;
  /** The number of this server. */
  owner: number;
  /** What is kept of the output of a command that begins now. */
  outputLimit: OutputLimit;
  /** By how much the clock of the database is ahead of `steadyNow`, in ms. */
  clockOffsetMs: number;
  /** What people call this server, where it is a node. */
  node?: string | undefined;
  /** Puts new commands that any node may run into the queue of all nodes. Undefined: there is none. */
  enqueue?: ((db: Connection, commands: readonly NewCommand[]) => Promise<void>) | undefined;
}

/** Writes a batch in one transaction. */
export async function writeBatch(target: BatchTarget, batch: Batch): Promise<Committed> {
  const { pool, owner, outputLimit, clockOffsetMs, node, enqueue } = target;
  const { inserts, begins, transitions, output, cuts, lastCuts, progress, finishes } = batch;
  let begun = new Map<string, Begun>();
  let inserted: Inserted = { stored: new Set(), taken: new Set() };
  const items = <T>(entries: readonly { item: T }[]) => entries.map((entry) => entry.item);
  const steps: ((db: Connection) => Promise<void>)[] = [];
  if (inserts.length > 0)
    steps.push(async (db) => {
      const byDatabase = inserts.map(({ item, deadline }) => ({ command: item, deadline: deadline + clockOffsetMs }));
      inserted = await insertCommands(db, owner, byDatabase);
    });
  const forNodes = items(inserts).filter(({ forAnyNode }) => forAnyNode);
  if (forNodes.length > 0)
    steps.push(async (db) =>
      enqueue?.(
        db,
        forNodes.filter(({ uuid }) => inserted.stored.has(uuid)),
      ),
    );
  if (begins.length > 0)
    steps.push(async (db) => {
      begun = await beginCommands(db, owner, items(begins), outputLimit, node ?? null);
    });
  if (transitions.length > 0) steps.push((db) => appendTransitions(db, owner, transitions));
  if (output.length > 0) steps.push((db) => appendOutput(db, owner, output));
  if (cuts.length > 0) steps.push((db) => dropOutput(db, owner, cuts));
  if (lastCuts.length > 0) steps.push((db) => cutOutput(db, owner, lastCuts));
  if (progress.length > 0) steps.push((db) => storeProgress(db, owner, progress));
  if (finishes.length > 0) steps.push((db) => finishCommands(db, owner, items(finishes)));
  // A single statement is a transaction by itself, without two more round trips.
  if (steps.length === 1) await steps[0]?.(pool);
  else if (steps.length > 1)
    await pool.transaction(async (db) => {
      for (const step of steps) await step(db);
    });
  return { begun, inserted };
}

export function entriesIn({ inserts, begins, transitions, output, progress, finishes }: Batch): number {
  return inserts.length + begins.length + transitions.length + output.length + progress.length + finishes.length;
}

/** A batch in parts of one entry each, in the same order; nothing when there is no more than one. */
export function divide(batch: Batch): Batch[] {
  const none: Batch = {
    inserts: [],
    begins: [],
    transitions: [],
    output: [],
    taken: [],
    cuts: [],
    lastCuts: [],
    progress: [],
    finishes: [],
  };
  const parts = [
    ...batch.inserts.map((entry) => ({ ...none, inserts: [entry] })),
    ...batch.begins.map((entry) => ({ ...none, begins: [entry] })),
    ...batch.transitions.map((row) => ({ ...none, transitions: [row] })),
    ...batch.output.map((row) => ({ ...none, output: [row] })),
    ...batch.cuts.map((cut) => ({ ...none, cuts: [cut] })),
    ...batch.lastCuts.map((cut) => ({ ...none, lastCuts: [cut] })),
    ...batch.progress.map((told) => ({ ...none, progress: [told] })),
    ...batch.finishes.map((entry) => ({ ...none, finishes: [entry] })),
  ];
  return parts.length > 1 ? parts : [];
}
