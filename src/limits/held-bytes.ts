/**
 * How much memory requests and their answers may take together: bodies until they are answered, and answers until they
 * are sent. Without a bound 200 clients that each send 11 MiB, or ask for as much and read nothing, would fill it.
 */
import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ByteBudget } from '../byte-budget.ts';
import { Overloaded } from '../errors.ts';

/** What each may hold uncounted: so small ones pass also when large ones have taken all there is. */
const SMALL_BYTES = 64 * 1024;

/** What a request or its answer holds. */
export class Holding {
  readonly #budget: ByteBudget;
  readonly #answer: ServerResponse;
  #bytes = 0;
  #counted = 0;

  constructor(budget: ByteBudget, answer: ServerResponse) {
    this.#budget = budget;
    this.#answer = answer;
  }

  /** Holds more, until it is released or the answer is sent, or its client gone. @throws Overloaded */
  add(bytes: number): void {
    this.#bytes += bytes;
    const more = this.#bytes - this.#counted;
    if (this.#bytes <= SMALL_BYTES || this.#answer.closed) return;
    if (!this.#budget.take(more)) throw new Overloaded();
    if (this.#counted === 0) this.#answer.once('close', () => this.release());
    this.#counted += more;
  }

  release(): void {
    this.#budget.giveBack(this.#counted);
    this.#bytes = 0;
    this.#counted = 0;
  }
}

export class HeldBytes {
  readonly #budget: ByteBudget;
  readonly #bodies = new WeakMap<object, Holding>();

  /** @param max in bytes. */
  constructor(max: number) {
    this.#budget = new ByteBudget(max);
  }

  /** Watches over the answers of an application that are made in memory; streams hold little. */
  register(app: FastifyInstance): void {
    app.addHook('preParsing', (request, { raw }, payload, done) => {
      this.#bodies.set(request, new Holding(this.#budget, raw));
      done(null, payload);
    });
    app.addHook('onSend', (_, { raw }, payload, done) => {
      if (typeof payload !== 'string' || payload.length <= SMALL_BYTES) return done(null, payload);
      try {
        new Holding(this.#budget, raw).add(payload.length);
        done(null, payload);
      } catch (error) {
        done(error as Error);
      }
    });
  }

  /** What the body of a request holds. */
  of(request: FastifyRequest): Holding {
    return this.#bodies.get(request) as Holding;
  }
}
