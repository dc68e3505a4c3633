/**
 * What scripts have told of their progress and the journal has not committed yet: of each the latest. It is stored as it
 * comes; but those who follow all commands are told only now and then, since the events of all of them are kept.
 */
import type { Progress } from '../command.ts';
import type { ProgressRow } from './sql/progress.ts';

/** Least time from one event about the progress of a command to the next, in ms. */
const TELL_MS = 1000;

interface Told {
  progress: Progress;
  /** When those who follow all commands were told last, by performance.now()... */
  toldAt: number;
  /** ...and whether that was this. */
  isTold: boolean;
  /** Waits until they may be told. */
  timer: NodeJS.Timeout | undefined;
}

export class ProgressQueue {
  readonly #onDue: () => void;
  /** Of the commands that have told anything and have not ended. */
  readonly #commands = new Map<string, Told>();
  /** Those of which something is to be written now. */
  readonly #due = new Set<string>();

  /** @param onDue is called when something is to be written. */
  constructor(onDue: () => void) {
    this.#onDue = onDue;
  }

  /** Whether something is to be written now. */
  get isDue(): boolean {
    return this.#due.size > 0;
  }

  add(uuid: string, progress: Progress): void {
    const told = this.#commands.get(uuid);
    if (told === undefined) {
      this.#commands.set(uuid, { progress, toldAt: Number.NEGATIVE_INFINITY, isTold: false, timer: undefined });
    } else {
      told.progress = progress;
      told.isTold = false;
    }
    this.#setDue(uuid);
  }

  /** Its command ends: what was not told to all is told now. */
  end(uuid: string): void {
    const told = this.#commands.get(uuid);
    if (told === undefined || told.isTold) return;
    told.toldAt = Number.NEGATIVE_INFINITY;
    this.#setDue(uuid);
  }

  /** Takes all that is due for a batch. */
  take(): ProgressRow[] {
    const now = performance.now();
    const rows: ProgressRow[] = [];
    for (const uuid of this.#due) {
      const told = this.#commands.get(uuid);
      if (told === undefined) continue;
      const wait = told.toldAt + TELL_MS - now;
      told.isTold = wait <= 0;
      if (told.isTold) told.toldAt = now;
      else told.timer ??= this.#tellLater(uuid, told, wait);
      rows.push({ uuid, progress: told.progress, isTold: told.isTold });
    }
    this.#due.clear();
    return rows;
  }

  /** Its outcome is stored. */
  forget(uuid: string): void {
    clearTimeout(this.#commands.get(uuid)?.timer);
    this.#commands.delete(uuid);
    this.#due.delete(uuid);
  }

  #setDue(uuid: string): void {
    this.#due.add(uuid);
    this.#onDue();
  }

  #tellLater(uuid: string, told: Told, ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      told.timer = undefined;
      if (!told.isTold) this.#setDue(uuid);
    }, ms).unref();
  }
}
