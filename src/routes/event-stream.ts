/** Server-Sent Events (WHATWG HTML, 9.2): how they are asked for, and how they are written. */
import type { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';

/** An answer that is a stream of events. */
export const StreamBody = z.string().describe('Server-Sent Events') as z.ZodType<unknown> as z.ZodType<Readable>;

/** After how long without an event something is sent, in ms, so that proxies keep the connection open. */
const HEARTBEAT_MS = 15_000;

/** How long a client waits before it connects again, in ms; its own default is some seconds. */
const RETRY_MS = 1000;

/** Whether a client names them among what it accepts; who accepts anything gets what he would get without. */
export function acceptsEvents({ headers }: FastifyRequest): boolean {
  const ranges = (headers.accept ?? '').toLowerCase().split(',');
  return ranges.some((range) => /^\s*text\/event-stream\s*(;|$)/.test(range) && !/;\s*q=0(\.0*)?\s*(;|$)/.test(range));
}

/** Says that the answer is a stream of events. */
export function announceEvents(reply: FastifyReply): void {
  reply
    .type('text/event-stream; charset=utf-8')
    .header('cache-control', 'no-store')
    // A proxy that gathers answers would keep the last events back; a connection that is kept would outlive the shutdown.
    .header('x-accel-buffering', 'no')
    .header('connection', 'close');
}

/** What comes before all events. */
export const preamble = `retry: ${RETRY_MS}\n\n`;

/** Writes one event. JSON has no line breaks, and `id` must have none. */
export function event(name: string, id: string, data: object): string {
  return `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** Tells when it is time for a heartbeat: a comment, which clients pass over. */
export class Heartbeat {
  readonly #now: () => number;
  #sentAt: number;

  /** @param now the time in ms, by a clock that nobody sets. */
  constructor(now = () => performance.now()) {
    this.#now = now;
    this.#sentAt = now();
  }

  /** Takes note of what is sent. @returns it. */
  sent(text: string): string {
    this.#sentAt = this.#now();
    return text;
  }

  /** What to send when there was nothing else to send: mostly nothing. */
  *beat(): Generator<string> {
    if (this.#now() - this.#sentAt < HEARTBEAT_MS) return;
    yield this.sent(':\n\n');
  }
}
