/**
 * Follows a command over Server-Sent Events, across broken connections and restarts of the server: each event says where
 * to go on after it, so that nothing is missed and nothing comes twice.
 */
import { type EventSourceMessage, EventSourceParserStream } from 'eventsource-parser/stream';
import pRetry from 'p-retry';
import { Refused, Unreachable } from './errors.ts';
import type { CommandEvent } from './types.ts';

/** First and longest pause before the server is asked again, in ms. */
const RETRY = { minTimeout: 100, maxTimeout: 2000 };

/** Opens the events of a command behind the one with this id. @throws Refused, Unreachable */
export type OpenEvents = (lastId: string | undefined) => Promise<Response>;

/**
 * Gives the events until the command ends.
 * @param patienceMs how long a server may be away.
 * @throws Unreachable when it stays away for longer; Refused when there is no such command (any more).
 */
export async function* follow(
  open: OpenEvents,
  patienceMs: number,
  signal?: AbortSignal,
): AsyncGenerator<CommandEvent> {
  let lastId: string | undefined;
  for (;;) {
    const response = await pRetry(() => open(lastId), {
      ...RETRY,
      retries: Number.POSITIVE_INFINITY,
      maxRetryTime: patienceMs,
      shouldRetry: ({ error }) => error instanceof Unreachable || (error instanceof Refused && error.mayPass),
      ...(signal !== undefined && { signal }),
    });
    // Who has seen the end gets nothing more.
    if (response.status === 204 || response.body === null) return;
    const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
    try {
      for await (const message of events) {
        const event = eventOf(message);
        if (event !== null) yield event;
        lastId = message.id ?? lastId;
        if (event?.type === 'end') return;
      }
    } catch (error) {
      // The connection broke off: what came is known by its id.
      if (signal?.aborted || error instanceof SyntaxError) throw error;
    }
    // A server that accepts and hangs up at once is not to be asked in a loop.
    await new Promise((resolve) => setTimeout(resolve, RETRY.minTimeout));
  }
}

/** Null for an event that this version does not know. */
function eventOf({ event, data }: EventSourceMessage): CommandEvent | null {
  switch (event) {
    case 'output': {
      const { stream, offset, text, base64 } = JSON.parse(data);
      const bytes = base64 === undefined ? new TextEncoder().encode(text) : bytesOfBase64(base64);
      return { type: 'output', stream, offset, bytes };
    }
    case 'status':
    case 'progress':
    case 'gap':
    case 'end':
      return { type: event, ...JSON.parse(data) };
    default:
      return null;
  }
}

const bytesOfBase64 = (text: string) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
