/**
 * The one writer: batches new commands, output chunks and status changes of all commands into few transactions.
 *
 *   idle ── something is written ──▶ gathering ── timer or at once ──▶ flushing ── committed ──▶ idle or gathering
 *                                                                      └─ transient error: the same batch again
 *
 * Invariants:
 * - One batch is under way at a time; what comes meanwhile makes the next one (group commit).
 * - Within a batch the order is insert, begin, transitions, output, progress, finish, which is the order of a command's life.
 * - A finish goes into a batch only when no output of its command is left for a later one, nor any progress.
 * - Every statement may run twice with the effect of once, so a batch whose commit is in doubt is simply sent again.
 * - At most about `ROOM_BYTES` of output wait in memory; beyond it pipes are paused.
 */
import pRetry from 'p-retry';
import type { DatabasePool } from 'slonik';
import type { CallerName, Idempotency, NewCommand, Outcome, Progress, StoredOutput, Transition } from '../command.ts';
import { within } from '../deadline.ts';
import { DeletionInDoubt, IdempotencyKeyReused, StorageUnavailable } from '../errors.ts';
import type { Begun, CommandOutput, Journal } from '../ports/journal.ts';
import { lastStep } from '../transitions.ts';
import {
  type Batch,
  type BatchTarget,
  type Committed,
  divide,
  type Entry,
  entriesIn,
  type FinishItem,
  type InsertEntry,
  writeBatch,
} from './batch.ts';
import { type Changes, EVERY_COMMAND } from './changes.ts';
import { OutputBuffer, type OutputObserver } from './output-buffer.ts';
import { isTransient, isUnavailable, type Patience, StatementTimeout } from './pool.ts';
import { ProgressQueue } from './progress-queue.ts';
import { type InTime, inTime, READ_MS } from './reads.ts';
import { clockOffset, steadyNow } from './sql/clock.ts';
import { deleteCommand } from './sql/commands.ts';
import { findHolder, withdrawCommand } from './sql/idempotency-keys.ts';
import type { Cut, OutputRow } from './sql/output.ts';
import type { WaitingCommand } from './sql/owners.ts';
import { TransitionBuffer } from './transition-buffer.ts';

/** How long a durable command's output is gathered before it is written, in ms; it shows 100 ms after it was printed. */
const GATHER_MS = 20;
/** Output waiting for its commit, of all commands together, beyond which pipes are paused. */
const ROOM_BYTES = 40 * 1024 * 1024;
/** Most bytes (of output, and of scripts and their stdin) that one batch carries. */
const BATCH_BYTES = 8 * 1024 * 1024;
/** Most rows of output that one batch carries: scripts that alternate between their streams make many small ones. */
const BATCH_ROWS = 5000;
/** How long a client waits for the commit of its new command, in ms. */
const INSERT_DEADLINE_MS = 5000;
/** How long a client waits for a deletion, in ms; the deletion itself goes on. */
const REMOVE_MS = 5000;
/** What is to be written is tried again for ever, after a pause that doubles up to its bound, in ms. */
const RETRY = { retries: Number.POSITIVE_INFINITY, minTimeout: 50, maxTimeout: 1000 };

/** What was committed in one transaction. */
export interface CommittedBatch {
  /** New commands, starts, outcomes, pieces of output, progress, and what was stored of transitions without an outcome. */
  entries: number;
  /** From putting it together to its commit, failed attempts included, in ms. */
  durationMs: number;
}

/** The pool is for the batches alone, so that they wait for nobody. */
export interface JournalOptions extends BatchTarget {
  /** How long its statements may take; the journal makes it grow. */
  patience: Patience;
  /** For what is looked up, which waits for no batch. */
  readPool: DatabasePool;
  deletePool: DatabasePool;
  /** Told of the commands of which a status, steps or output were committed. */
  changes: Changes;
  /** Told of each batch that was committed. */
  onCommitted: (batch: CommittedBatch) => void;
  /** Told of each failed attempt to commit a batch. */
  onRetry: (error: Error, attempt: number) => void;
  /** Told of output, transitions, progress or a withdrawal that the database will never take, which would be a bug. */
  onRefused: (error: unknown, uuid: string) => void;
}

export class BatchJournal implements Journal, OutputObserver {
  readonly #options: JournalOptions;
  readonly #read: InTime;
  #target: BatchTarget;
  readonly #inserts = new Set<InsertEntry>();
  #begins: Batch['begins'] = [];
  #finishes: Entry<FinishItem, void>[] = [];
  readonly #transitions = new TransitionBuffer(() => this.#flushNow());
  readonly #outputs = new Map<string, OutputBuffer>();
  /** Outputs that have something to write now. */
  readonly #dirty = new Set<OutputBuffer>();
  readonly #progress = new ProgressQueue(() => this.#flushSoon());
  /** Memory that output of all commands holds, in bytes. */
  #bytes = 0;
  #flushing = false;
  /** When the batch under way was put together, by performance.now(). */
  #batchSince: number | undefined;
  /** Whether the batch under way has failed and is tried again. */
  #stuck = false;
  /** How many abandoned commands are being withdrawn. */
  #abandoned = 0;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #onIdle: (() => void)[] = [];

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#read = inTime(options.readPool);
    this.#target = options;
  }

  insert(command: NewCommand, onKept?: () => void): Promise<boolean> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const deadline = steadyNow() + INSERT_DEADLINE_MS;
    const entry: InsertEntry = { item: command, deadline, abandoned: false, resolve, reject, onKept };
    this.#inserts.add(entry);
    this.#flushNow();
    return within(INSERT_DEADLINE_MS, promise, () => {
      entry.abandoned = true;
      this.#inserts.delete(entry);
      return new StorageUnavailable();
    });
  }

  async replay(idempotency: Idempotency, by: CallerName): Promise<string | null> {
    const deadline = steadyNow() + READ_MS + this.#target.clockOffsetMs;
    const holder = await this.#read((db) => findHolder(db, idempotency, by, deadline));
    if (holder?.isSame === false) throw new IdempotencyKeyReused();
    return holder?.uuid ?? null;
  }

  begin(uuid: string, startedAt: Date): Promise<Begun | null> {
    return this.#enqueue(this.#begins, { uuid, startedAt });
  }

  openOutput(uuid: string, durable: boolean, stored?: StoredOutput): CommandOutput {
    const limit = stored?.limit ?? this.#options.outputLimit;
    const output = new OutputBuffer(uuid, durable, limit, this, stored?.upTo);
    this.#outputs.set(uuid, output);
    return output;
  }

  transition(uuid: string, transition: Transition): void {
    this.#transitions.add(uuid, transition);
  }

  /** Goes on with the steps of commands that servers before this one have left. */
  resumeTransitions(commands: readonly Pick<WaitingCommand, 'uuid' | 'steps'>[]): void {
    for (const { uuid, steps } of commands) if (steps > 0) this.#transitions.resume(uuid, steps);
  }

  progress(uuid: string, progress: Progress): void {
    // What comes after the outcome has nowhere to go.
    if (this.#outputs.has(uuid)) this.#progress.add(uuid, progress);
  }

  finish(uuid: string, outcome: Outcome, endedAt: Date): Promise<void> {
    const output = this.#outputs.get(uuid);
    if (output !== undefined && output.pendingBytes > 0) this.#dirty.add(output);
    this.#progress.end(uuid);
    return this.#enqueue(this.#finishes, { uuid, outcome, endedAt });
  }

  async remove(uuid: string): Promise<boolean> {
    // Not in a batch: a large output takes long to delete, and nobody else's commands shall wait for that.
    const deletion = deleteCommand(this.#options.deletePool, uuid);
    void deletion.then(
      () => this.#options.changes.tell(EVERY_COMMAND),
      () => {},
    );
    try {
      return await within(REMOVE_MS, deletion, () => new DeletionInDoubt());
    } catch (error) {
      throw isUnavailable(error) ? new DeletionInDoubt() : error;
    }
  }

  /** Whether the database refuses what is to be written at the moment: it is tried again until it is committed. */
  get isStuck(): boolean {
    return this.#stuck;
  }

  /** For how long the batch under way has been so, in ms; 0 when there is none. */
  get lagMs(): number {
    return this.#batchSince === undefined ? 0 : performance.now() - this.#batchSince;
  }

  /** Resolves when all that was written is committed. */
  async idle(): Promise<void> {
    if (this.#isIdle()) return;
    await new Promise<void>((resolve) => {
      this.#onIdle.push(resolve);
    });
  }

  /** Whether more output may be written: asked by the buffers. */
  hasRoom(): boolean {
    return this.#bytes < ROOM_BYTES;
  }

  /** Takes note of new output: called by the buffers. */
  wrote(buffer: OutputBuffer, heldBytes: number): void {
    this.#bytes += heldBytes;
    if (buffer.pendingMemory >= buffer.urgentBytes) this.full(buffer);
    else if (buffer.durable) {
      this.#dirty.add(buffer);
      this.#flushSoon();
    }
    if (this.#bytes >= ROOM_BYTES / 2) this.#relieve();
  }

  /** Writes what a buffer has at once: called by the buffers. */
  full(buffer: OutputBuffer): void {
    if (buffer.pendingBytes === 0) return;
    this.#dirty.add(buffer);
    this.#flushNow();
  }

  /** Regular commands keep their output in memory to the end; when memory gets short they write it early. */
  #relieve(): void {
    if (this.#dirty.size === this.#outputs.size) return;
    for (const output of this.#outputs.values()) if (output.pendingBytes > 0) this.#dirty.add(output);
    this.#flushNow();
  }

  #enqueue<Item, Result>(queue: Entry<Item, Result>[], item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      queue.push({ item, resolve, reject });
      this.#flushNow();
    });
  }

  #isIdle(): boolean {
    const waiting = this.#transitions.size + this.#abandoned;
    return !this.#flushing && !this.#hasUrgent() && !this.#hasGathered() && waiting === 0;
  }

  #tellIdle(): void {
    if (this.#isIdle()) for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  #hasUrgent(): boolean {
    const waiting = this.#inserts.size + this.#begins.length + this.#finishes.length;
    return waiting > 0 || this.#transitions.isDue;
  }

  /** Whether anything waits that need not be written at once. */
  #hasGathered(): boolean {
    return this.#dirty.size > 0 || this.#progress.isDue;
  }

  #flushNow(): void {
    if (this.#flushing || this.#immediate !== undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // After the events of this turn, so that requests which came together are stored together.
    this.#immediate = setImmediate(() => {
      this.#immediate = undefined;
      void this.#flush();
    });
  }

  #flushSoon(): void {
    if (this.#flushing || this.#immediate !== undefined || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#flush();
    }, GATHER_MS);
  }

  async #flush(): Promise<void> {
    this.#flushing = true;
    do {
      const batch = this.#nextBatch();
      const since = performance.now();
      this.#batchSince = since;
      await this.#commit(batch);
      this.#batchSince = undefined;
      this.#options.onCommitted({ entries: entriesIn(batch), durationMs: performance.now() - since });
      this.#release(batch.taken);
    } while (this.#hasUrgent() || this.#isUnderPressure());
    this.#flushing = false;
    if (this.#hasGathered()) this.#flushSoon();
    else this.#tellIdle();
  }

  /** Whether some output waits that should not be gathered any longer. */
  #isUnderPressure(): boolean {
    for (const output of this.#dirty) if (!output.durable || output.pendingBytes >= output.urgentBytes) return true;
    return false;
  }

  #nextBatch(): Batch {
    const output: OutputRow[] = [];
    const taken: OutputBuffer[] = [];
    const cuts: Cut[] = [];
    let room = BATCH_BYTES;
    for (const buffer of this.#dirty) {
      if (room <= 0 || output.length >= BATCH_ROWS) break;
      const before = buffer.pendingBytes;
      for (const row of buffer.take(room, BATCH_ROWS - output.length)) output.push(row);
      room -= before - buffer.pendingBytes;
      taken.push(buffer);
      if (buffer.cut !== null) cuts.push(buffer.cut);
      // Deleted and, if anything is left, added again: at the end, so that a loud command does not starve the others.
      this.#dirty.delete(buffer);
      if (buffer.pendingBytes > 0) this.#dirty.add(buffer);
      if (buffer.pendingBytes > 0) break;
    }
    const finishes: Batch['finishes'] = [];
    const lastCuts: Cut[] = [];
    const later: Entry<FinishItem, void>[] = [];
    for (const entry of this.#finishes) {
      const buffer = this.#outputs.get(entry.item.uuid);
      if (buffer !== undefined && buffer.pendingBytes > 0) later.push(entry);
      else {
        if (buffer?.cut != null) lastCuts.push(buffer.cut);
        const { uuid, outcome, endedAt } = entry.item;
        const row = this.#transitions.take(uuid);
        const path = { ...row, steps: [...row.steps, lastStep(outcome.status, +endedAt)] };
        finishes.push({ ...entry, item: { ...entry.item, outputBytes: buffer?.totalBytes ?? 0, path } });
      }
    }
    this.#finishes = later;
    const [inserts, begins, transitions] = [this.#takeInserts(), this.#begins, this.#transitions.takeDue()];
    const progress = this.#progress.take();
    const batch = { inserts, begins, transitions, output, taken, cuts, lastCuts, progress, finishes };
    this.#begins = [];
    return batch;
  }

  #takeInserts(): InsertEntry[] {
    const taken: InsertEntry[] = [];
    let room = BATCH_BYTES;
    for (const entry of this.#inserts) {
      if (room <= 0) break;
      room -= entry.item.script.length + (entry.item.inputs.stdin?.length ?? 0);
      this.#inserts.delete(entry);
      taken.push(entry);
    }
    return taken;
  }

  /** Commits a batch, however long it takes, and answers all who wait for it. */
  async #commit(batch: Batch): Promise<void> {
    try {
      const results = await pRetry(() => writeBatch(this.#target, batch), {
        ...RETRY,
        shouldRetry: ({ error }) => isTransient(error),
        onFailedAttempt: ({ error, attemptNumber }) => {
          if (!isTransient(error)) return;
          this.#stuck = true;
          if (error instanceof StatementTimeout) this.#options.patience.grow();
          this.#options.onRetry(error, attemptNumber);
        },
      });
      this.#stuck = false;
      this.#options.patience.reset();
      await this.#answer(batch, results);
    } catch (error) {
      this.#stuck = false;
      await this.#commitApart(batch, error);
    }
  }

  /** Finds the entry that the database refuses, so that one bad apple does not spoil the batch. */
  async #commitApart(batch: Batch, error: unknown): Promise<void> {
    const parts = divide(batch);
    for (const part of parts) await this.#commit(part);
    if (parts.length > 0) return;
    for (const entry of [...batch.inserts, ...batch.begins, ...batch.finishes]) entry.reject(error);
    for (const { item } of batch.finishes) {
      this.#forget(item.uuid);
      this.#transitions.giveBack({ ...item.path, steps: item.path.steps.slice(0, -1) });
    }
    const { transitions, output, cuts, lastCuts, progress } = batch;
    for (const { uuid } of [...transitions, ...output, ...cuts, ...lastCuts, ...progress])
      this.#options.onRefused(error, uuid);
  }

  async #answer(batch: Batch, { begun, inserted }: Committed): Promise<void> {
    const refused: InsertEntry[] = [];
    for (const entry of batch.inserts) {
      const { uuid } = entry.item;
      if (inserted.taken.has(uuid)) entry.resolve(false);
      else if (!inserted.stored.has(uuid)) refused.push(entry);
      // Committed just in time, but nobody heard of it in time.
      else if (entry.abandoned) void this.#withdraw(entry);
      else entry.resolve(true);
    }
    for (const { item, resolve } of batch.begins) resolve(begun.get(item.uuid) ?? null);
    for (const { item, resolve } of batch.finishes) {
      this.#forget(item.uuid);
      resolve();
    }
    const entries = [...batch.begins, ...batch.finishes];
    const { output, progress, transitions } = batch;
    const changed = [...output, ...progress, ...transitions, ...entries.map(({ item }) => item)].map(
      ({ uuid }) => uuid,
    );
    for (const uuid of new Set(changed)) this.#options.changes.tell(uuid);
    const toldToAll = progress.filter(({ isTold }) => isTold);
    if (entries.length + batch.inserts.length + toldToAll.length > 0) this.#options.changes.tell(EVERY_COMMAND);
    const waiting = refused.filter(({ abandoned }) => !abandoned);
    if (waiting.length > 0) await this.#insertAgain(waiting);
  }

  /**
   * The database found the deadlines of these past. Where their clients wait still its clock was set: compares the clocks
   * again, and tries once more.
   */
  async #insertAgain(refused: readonly InsertEntry[]): Promise<void> {
    try {
      this.#target = { ...this.#target, clockOffsetMs: await clockOffset(this.#options.pool) };
      for (const entry of refused) if (!entry.abandoned) this.#inserts.add(entry);
    } catch {
      for (const entry of refused) entry.reject(new StorageUnavailable());
    }
  }

  /** Deletes, however long it takes, a command that its client was told is not stored: the next server would run it. */
  async #withdraw({ item, onKept }: InsertEntry): Promise<void> {
    this.#abandoned++;
    try {
      const { deletePool } = this.#options;
      const stays = await pRetry(() => withdrawCommand(deletePool, item), {
        ...RETRY,
        shouldRetry: ({ error }) => isTransient(error),
      });
      if (stays) onKept?.();
    } catch (error) {
      this.#options.onRefused(error, item.uuid);
    }
    this.#abandoned--;
    this.#tellIdle();
  }

  /** Nothing more comes of this command. */
  #forget(uuid: string): void {
    this.#outputs.delete(uuid);
    this.#progress.forget(uuid);
    this.#transitions.forget(uuid);
  }

  /** Frees what was committed and lets paused pipes go on. */
  #release(taken: OutputBuffer[]): void {
    for (const buffer of taken) {
      this.#bytes -= buffer.inFlightMemory;
      buffer.committed();
    }
    if (taken.length > 0) for (const buffer of this.#outputs.values()) buffer.wake();
  }
}
