/** What happens in the actors of the server at every moment, over however many connections. */
import { signal } from '@preact/signals';
import type { Shellvisor } from '../../../src/client/index.ts';
import { withSession } from '../session.ts';
import { Sequence } from './sequence.ts';

/** How long events are taken in at a stretch, in ms. */
const AT_ONCE_MS = 20;

export class LiveInspector {
  readonly sequence = new Sequence();
  /** Changes with the sequence. */
  readonly version = signal(0);
  /** Undefined: there has been no connection yet. */
  readonly isConnected = signal<boolean | undefined>(undefined);
  /** The place of the first row that came after one had paused; undefined: one has not. */
  readonly pausedAt = signal<number | undefined>(undefined);
  /** How often it was cleared. */
  readonly clearings = signal(0);
  /** Why it tells us nothing. */
  readonly failure = signal<unknown>(undefined);

  readonly #ending = new AbortController();
  #willShow = false;

  constructor(client: Shellvisor) {
    withSession(this.#follow(client)).catch((error) => {
      if (!this.#ending.signal.aborted) this.failure.value = error;
    });
  }

  stop(): void {
    this.#ending.abort();
  }

  /** What comes is kept while one has paused, but not shown. */
  pause(isPaused: boolean): void {
    this.pausedAt.value = isPaused ? this.sequence.next : undefined;
  }

  clear(): void {
    this.sequence.clear();
    this.clearings.value++;
    if (this.pausedAt.value !== undefined) this.pause(true);
  }

  async #follow(client: Shellvisor): Promise<void> {
    const { signal } = this.#ending;
    const onConnection = (isConnected: boolean) => {
      this.isConnected.value = isConnected;
    };
    let begun = performance.now();
    for await (const event of client.inspect({ patienceMs: Number.POSITIVE_INFINITY, signal, onConnection })) {
      this.sequence.take(event);
      this.#show();
      if (performance.now() - begun < AT_ONCE_MS) continue;
      // Thousands may have come together: whoever uses the page must not wait for all of them.
      await new Promise((resolve) => setTimeout(resolve));
      begun = performance.now();
    }
  }

  /** Shows all that has come in a moment at once, with the next picture that the screen takes. */
  #show(): void {
    if (this.#willShow) return;
    this.#willShow = true;
    requestAnimationFrame(() => {
      this.#willShow = false;
      this.version.value++;
    });
  }
}
