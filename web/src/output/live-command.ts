/** One command as it is at every moment: what is known of it, and all that it has printed. */
import { signal } from '@preact/signals';
import type { Command, CommandEvent, Progress, Shellvisor, Transition } from '../../../src/client/index.ts';
import { withSession } from '../session.ts';
import { Lines } from './lines.ts';

export class LiveCommand {
  readonly uuid: string;
  readonly command = signal<Command | undefined>(undefined);
  readonly progress = signal<Progress | null>(null);
  /** The steps that it took, oldest first; undefined: they are not known yet. */
  readonly steps = signal<readonly Transition[] | undefined>(undefined);
  /** What went wrong: it is not there, or not any more. */
  readonly failure = signal<unknown>(undefined);
  /** Changes with the lines. */
  readonly version = signal(0);
  readonly lines = new Lines();

  readonly #client: Shellvisor;
  readonly #noteOfGap: (bytes: number) => string;
  readonly #ending = new AbortController();
  #willShow = false;
  /** How often we have asked for it. */
  #asked = 0;

  /** @param noteOfGap what to say where the middle of the output is not kept. */
  constructor(client: Shellvisor, uuid: string, noteOfGap: (bytes: number) => string) {
    this.#client = client;
    this.uuid = uuid;
    this.#noteOfGap = noteOfGap;
    withSession(this.#follow()).catch((error) => this.#fail(error));
  }

  stop(): void {
    this.#ending.abort();
  }

  async reload(): Promise<void> {
    const asked = ++this.#asked;
    try {
      const command = await withSession(this.#client.get(this.uuid, { output: false }));
      // Answers may overtake each other. Whoever has asked since gets what is newer.
      if (asked !== this.#asked) return;
      this.command.value = command;
      this.progress.value = command.progress;
    } catch (error) {
      this.#fail(error);
    }
  }

  async #follow(): Promise<void> {
    await this.reload();
    if (this.failure.value !== undefined) return;
    const options = { signal: this.#ending.signal, patienceMs: Number.POSITIVE_INFINITY, steps: true };
    for await (const event of this.#client.follow(this.uuid, options)) this.#take(event);
  }

  #take(event: CommandEvent): void {
    switch (event.type) {
      case 'output':
        this.lines.append(event.stream, event.bytes);
        this.#show();
        return;
      case 'gap':
        this.lines.note(this.#noteOfGap(event.bytes));
        this.#show();
        return;
      case 'progress':
        this.progress.value = event;
        return;
      case 'steps':
        this.steps.value = event.steps;
        return;
      case 'status':
      case 'end':
        if (this.command.value !== undefined) this.command.value = { ...this.command.value, status: event.status };
        void this.reload();
        return;
      default:
        event satisfies never;
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

  #fail(error: unknown): void {
    if (!this.#ending.signal.aborted) this.failure.value = error;
  }
}
