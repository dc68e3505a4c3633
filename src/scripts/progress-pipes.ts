/**
 * Reads what scripts say of their progress. One timer looks into the pipes of all that run: nothing is paid for those that
 * say nothing, and whoever says much is heard as often as anybody can use it.
 */
import { isSameProgress, type Progress } from '../command.ts';
import { SIDE_BYTES, type SidePipe } from '../os/side-pipe.ts';
import { ProgressLines } from './progress-lines.ts';

/** How often to look, in ms... */
const LOOK_MS = 200;
/** ...and when somebody says so much that he has to wait for us; then ever less often again. */
const BUSY_LOOK_MS = 10;
/** Looking takes at most this share of the time, whatever is said. */
const SHARE = 0.1;
/** Least time from one progress that is told to the next of the same script, in ms: a look may be a little early. */
const TELL_MS = 150;
/** How often a pipe is read at the end: enough for any, and for one that somebody goes on writing to not for ever. */
const LAST_READS = 32;

export class ProgressPipes {
  readonly #open = new Set<ProgressPipe>();
  #timer: NodeJS.Timeout | undefined;
  /** How long to wait for the next look, in ms. */
  #pause = LOOK_MS;

  /**
   * Tells from now on what comes out of a pipe.
   * @param secrets stand as `***` in what is told.
   * @param tell is given the latest, at most about each 200 ms, and never the same twice.
   */
  follow(pipe: SidePipe, secrets: readonly string[], tell: (progress: Progress) => void): ProgressPipe {
    const opened = new ProgressPipe(pipe, secrets, tell, () => this.#open.delete(opened));
    this.#open.add(opened);
    this.#timer ??= this.#lookIn(LOOK_MS);
    return opened;
  }

  #lookIn(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#look(), ms).unref();
  }

  #look(): void {
    const startedAt = performance.now();
    let isBusy = false;
    for (const pipe of this.#open) if (pipe.look(startedAt) >= SIDE_BYTES / 2) isBusy = true;
    const least = (performance.now() - startedAt) / SHARE;
    this.#pause = Math.min(Math.max(isBusy ? BUSY_LOOK_MS : 2 * this.#pause, least), LOOK_MS);
    this.#timer = this.#open.size === 0 ? undefined : this.#lookIn(this.#pause);
  }
}

/** The pipe of one script. */
export class ProgressPipe {
  readonly #pipe: SidePipe;
  readonly #secrets: readonly string[];
  readonly #tell: (progress: Progress) => void;
  readonly #onEnd: () => void;
  /** Made when the script says something, which few do. */
  #lines: ProgressLines | undefined;
  /** Not told yet. */
  #latest: Progress | null = null;
  #told: Progress | null = null;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(pipe: SidePipe, secrets: readonly string[], tell: (progress: Progress) => void, onEnd: () => void) {
    this.#pipe = pipe;
    this.#secrets = secrets;
    this.#tell = tell;
    this.#onEnd = onEnd;
  }

  /** Takes what is there. @returns how many bytes that was. */
  look(now: number): number {
    const count = this.#read();
    // When it is told, not when we began to look: on a busy machine that may be much later.
    if (now - this.#toldAt >= TELL_MS && this.#tellLatest()) this.#toldAt = performance.now();
    return count;
  }

  /** Tells the last of what was written before, and closes the pipe. */
  async end(): Promise<void> {
    this.#onEnd();
    for (let reads = 0; reads < LAST_READS; reads++) {
      await this.#pipe.arrival();
      if (this.#read() === 0) break;
    }
    this.#pipe.close();
    this.#latest = this.#lines?.end() ?? this.#latest;
    this.#tellLatest();
  }

  #read(): number {
    const bytes = this.#pipe.read();
    if (bytes === null) return 0;
    this.#lines ??= new ProgressLines(this.#secrets);
    this.#latest = this.#lines.push(bytes) ?? this.#latest;
    return bytes.length;
  }

  /** @returns whether there was anything new. */
  #tellLatest(): boolean {
    const latest = this.#latest;
    this.#latest = null;
    if (latest === null || isSameProgress(latest, this.#told)) return false;
    this.#told = latest;
    this.#tell(latest);
    return true;
  }
}
