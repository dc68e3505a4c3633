/** How the server is at every moment, and how its figures were in the last two minutes. */
import { signal } from '@preact/signals';
import {
  type Readiness,
  Refused,
  type Shellvisor,
  type SupervisorStatechart,
  Unreachable,
} from '../../../src/client/index.ts';
import { isLive } from '../events.ts';
import { withSession } from '../session.ts';
import { readFigures } from './exposition.ts';
import { type Look, NOTHING, type Sample, sampleOf } from './sample.ts';

const LOOK_MS = 1000;
/** How many moments the charts show. */
export const MOMENTS = 120;

export class LiveSystem {
  readonly readiness = signal<Readiness | undefined>(undefined);
  readonly supervisor = signal<SupervisorStatechart['state'] | undefined>(undefined);
  /** Whether it has answered when it was asked last. */
  readonly answers = signal(true);
  /** Oldest first. */
  readonly samples = signal<readonly Sample[]>([]);
  /** Why it tells us nothing. */
  readonly failure = signal<unknown>(undefined);

  readonly #client: Shellvisor;
  #before: Look | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isLooking = false;
  #isOver = false;
  readonly #endListening: () => void;

  constructor(client: Shellvisor) {
    this.#client = client;
    // At once, and whenever the connection of the page comes or goes: that says that something has changed.
    this.#endListening = isLive.subscribe(() => void this.#look());
  }

  stop(): void {
    this.#isOver = true;
    this.#endListening();
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    clearTimeout(this.#timer);
    try {
      const [readiness, supervisor, figures] = await withSession(
        Promise.all([
          this.#client.readiness(),
          whereTold(this.#client.supervisor()),
          whereTold(this.#client.metrics().then(readFigures)),
        ]),
      );
      if (this.#isOver) return;
      this.answers.value = true;
      this.readiness.value = readiness;
      this.supervisor.value = supervisor?.state;
      this.#take(figures === undefined ? undefined : { at: performance.now(), figures });
    } catch (error) {
      if (this.#isOver) return;
      if (!isAway(error)) {
        this.failure.value = error;
        return;
      }
      this.answers.value = false;
      this.#take(undefined);
    } finally {
      this.#isLooking = false;
    }
    this.#timer = setTimeout(() => void this.#look(), LOOK_MS);
  }

  #take(look: Look | undefined): void {
    const sample = look === undefined ? NOTHING : sampleOf(look, this.#before);
    this.#before = look;
    this.samples.value = [...this.samples.value.slice(1 - MOMENTS), sample];
  }
}

/** Whether nobody answers, or somebody in front of the server for it. */
const isAway = (error: unknown) => error instanceof Unreachable || (error instanceof Refused && error.status >= 500);

/** @returns undefined where the server has nothing to tell yet, since it still starts. */
function whereTold<Answer>(answer: Promise<Answer>): Promise<Answer | undefined> {
  return answer.catch((error) => {
    if (error instanceof Refused && error.status === 503) return undefined;
    throw error;
  });
}
