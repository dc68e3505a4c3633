/**
 * Wakes those who look out for what is new of a command. It carries no data: who is woken reads the database, so nothing
 * is lost when wake-ups are, or come together, and a slow reader holds nothing up.
 */
import type { Watch } from '../ports/reader.ts';

/** How often somebody who waits looks by himself, in ms: the command may run under another server, for all we know. */
const LOOK_MS = 1000;
/** The same where other servers share the work, so that it mostly does. */
const ELSEWHERE_LOOK_MS = 200;

/** In place of the uuid: whoever looks out for this hears of all commands. */
export const EVERY_COMMAND = 'every command';

export class Changes {
  readonly #watches = new Map<string, Set<CommandWatch>>();
  readonly #isElsewhere: (uuid: string) => boolean;

  /** @param isElsewhere whether a command may well be one of another server. */
  constructor(isElsewhere: (uuid: string) => boolean = () => false) {
    this.#isElsewhere = isElsewhere;
  }

  watch(uuid: string): Watch {
    const watches = this.#watches.get(uuid) ?? new Set();
    this.#watches.set(uuid, watches);
    const watch = new CommandWatch(this.#isElsewhere(uuid) ? ELSEWHERE_LOOK_MS : LOOK_MS, () => {
      watches.delete(watch);
      if (watches.size === 0 && this.#watches.get(uuid) === watches) this.#watches.delete(uuid);
    });
    watches.add(watch);
    return watch;
  }

  /** Says that something of a command was committed. */
  tell(uuid: string): void {
    for (const watch of this.#watches.get(uuid) ?? []) watch.tell();
  }

  /** How many look out. */
  get size(): number {
    return this.#watches.values().reduce((sum, watches) => sum + watches.size, 0);
  }
}

class CommandWatch implements Watch {
  readonly #lookMs: number;
  readonly #dispose: () => void;
  /** Whether something was told that nobody has heard yet. */
  #changed = false;
  #wake = () => {};

  constructor(lookMs: number, dispose: () => void) {
    this.#lookMs = lookMs;
    this.#dispose = dispose;
  }

  [Symbol.dispose](): void {
    this.#dispose();
  }

  tell(): void {
    this.#changed = true;
    this.#wake();
  }

  async next(signal: AbortSignal): Promise<void> {
    if (!this.#changed && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = () => resolve();
      this.#wake = wake;
      const timer = setTimeout(wake, this.#lookMs);
      signal.addEventListener('abort', wake);
      await promise;
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
    }
    this.#changed = false;
  }
}
