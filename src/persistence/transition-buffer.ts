/**
 * The steps of commands that are not stored yet. They wait for the outcome of their command, so that those of a short one
 * cost one row. When for a while there is neither that nor another step, which are few, they are due by themselves.
 */
import type { Step, Transition } from '../command.ts';
import type { StepRow } from './sql/transitions.ts';

/** How long the last step of a command waits for what comes next, in ms. */
const GATHER_MS = 100;

interface Path extends StepRow {
  steps: Step[];
  /** When the last of the steps came, by performance.now(). */
  since: number;
  /** Whether the database has refused the outcome, so that nothing will come that takes the steps along. */
  isRefused: boolean;
}

export class TransitionBuffer {
  readonly #onDue: () => void;
  /** Of each command that has taken a step and has no outcome yet: what is not stored, and its place in the path. */
  readonly #paths = new Map<string, Path>();
  /** Those with something to store, the one that waits longest first. */
  readonly #waiting = new Set<Path>();
  #timer: NodeJS.Timeout | undefined;

  /** @param onDue is called when something has waited long enough. */
  constructor(onDue: () => void) {
    this.#onDue = onDue;
  }

  /** How many commands have something to store. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Whether something has waited long enough. */
  get isDue(): boolean {
    return (this.#restMs() ?? 1) <= 0;
  }

  /** Goes on with a command of which a server before this one has stored so many steps. */
  resume(uuid: string, stored: number): void {
    this.#open(uuid, stored);
  }

  add(uuid: string, { from, ...step }: Transition): void {
    const path = this.#paths.get(uuid);
    // A command that was waiting and waits again has taken no step.
    if (path === undefined && from === null) return;
    this.#put(path ?? this.#open(uuid, 0), [step]);
  }

  /** Takes what is to be stored of a command. */
  take(uuid: string): StepRow {
    const path = this.#paths.get(uuid);
    return path === undefined ? { uuid, first: 0, steps: [] } : this.#take(path);
  }

  /** Takes what has waited long enough. */
  takeDue(): StepRow[] {
    const taken: StepRow[] = [];
    for (const path of this.#waiting) {
      if (!this.isDue) break;
      taken.push(this.#take(path));
      if (path.isRefused) this.forget(path.uuid);
    }
    this.#watch();
    return taken;
  }

  /** Takes back the steps of a command whose outcome the database has refused. */
  giveBack({ uuid, first, steps }: StepRow): void {
    const path = this.#open(uuid, first);
    path.isRefused = true;
    if (steps.length > 0) this.#put(path, steps);
  }

  /** Forgets a command, whose outcome is stored. */
  forget(uuid: string): void {
    this.#paths.delete(uuid);
  }

  #open(uuid: string, first: number): Path {
    const path: Path = { uuid, first, steps: [], since: 0, isRefused: false };
    this.#paths.set(uuid, path);
    return path;
  }

  #put(path: Path, steps: readonly Step[]): void {
    path.steps.push(...steps);
    path.since = performance.now();
    this.#waiting.delete(path);
    this.#waiting.add(path);
    this.#watch();
  }

  #take(path: Path): StepRow {
    const { uuid, first, steps } = path;
    path.first += steps.length;
    path.steps = [];
    this.#waiting.delete(path);
    return { uuid, first, steps };
  }

  /** How long the one that waits longest has still to wait, in ms; undefined when none does. */
  #restMs(): number | undefined {
    const [first] = this.#waiting;
    return first && first.since + GATHER_MS - performance.now();
  }

  /** Tells when the first of them is due. */
  #watch(): void {
    if (this.#timer !== undefined) return;
    const restMs = this.#restMs();
    if (restMs === undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        if (this.isDue) this.#onDue();
        else this.#watch();
      },
      Math.max(0, restMs),
    );
  }
}
