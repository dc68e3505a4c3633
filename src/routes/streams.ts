/** How many answers that take their time a client may have open at once: streams of events or output, and waits. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { clientOf } from '../access/client.ts';
import { TooManyStreams } from '../errors.ts';

export class OpenStreams {
  readonly #max: number;
  readonly #open = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Counts this answer for its client until it is closed. @throws TooManyStreams when the client has too many. */
  open(request: FastifyRequest, { raw }: FastifyReply): void {
    const client = clientOf(request);
    const open = this.#open.get(client) ?? 0;
    if (open >= this.#max) throw new TooManyStreams(this.#max);
    this.#open.set(client, open + 1);
    raw.once('close', () => this.#close(client));
  }

  #close(client: string): void {
    const left = (this.#open.get(client) ?? 0) - 1;
    if (left > 0) this.#open.set(client, left);
    else this.#open.delete(client);
  }
}
