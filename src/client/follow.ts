/**
 * Follows one command, or all, over Server-Sent Events, across broken connections and restarts of the server: each event says where
 * to go on after it, so that nothing is missed and nothing comes twice.
 */
import { type EventSourceMessage, EventSourceParserStream } from 'eventsource-parser/stream';
import pRetry from 'p-retry';
import { Refused, Unreachable } from './errors.ts';
import type { CommandEvent, InspectEvent, ListEvent } from './types.ts';

/** First and longest pause before the server is asked again, in ms. */
const RETRY = { minTimeout: 100, maxTimeout: 2000 };

/** Opens a stream of events behind the one with this id. @throws Refused, Unreachable */
export type OpenEvents = (lastId: string | undefined) => Promise<Response>;

export interface StreamOptions {
  /** How long a server may be away, in ms. */
  patienceMs: number;
  signal?: AbortSignal | undefined;
  /** Called when the stream is there, and when it breaks. */
  onConnection?: ((isConnected: boolean) => void) | undefined;
}

/**
 * Gives the events until the command ends.
 * @throws Unreachable when the server stays away for longer; Refused when there is no such command (any more).
 */
export async function* follow(open: OpenEvents, options: StreamOptions): AsyncGenerator<CommandEvent> {
  for await (const message of messagesOf(open, options)) {
    const event = eventOf(message);
    if (event !== null) yield event;
    if (event?.type === 'end') return;
  }
}

/**
 * Gives what becomes of all commands, without an end.
 * @throws as `follow`.
 */
export function watch(open: OpenEvents, options: StreamOptions): AsyncGenerator<ListEvent> {
  return eventsOf(LIST_EVENTS, open, options);
}

const LIST_EVENTS: readonly ListEvent['type'][] = ['start', 'reset', 'created', 'status', 'progress', 'deleted'];

/**
 * Gives what happens in the actors of the server, without an end. A connection that comes again begins anew, with `start`.
 * @throws as `follow`; Refused also when the server is not started for that.
 */
export function inspect(open: OpenEvents, options: StreamOptions): AsyncGenerator<InspectEvent> {
  return eventsOf(INSPECT_EVENTS, open, options);
}

const INSPECT_EVENTS: readonly InspectEvent['type'][] = ['start', 'actor', 'event', 'snapshot'];

/** Events whose data says all but their type; those that this version does not know are left out. */
async function* eventsOf<Type extends string>(types: readonly Type[], open: OpenEvents, options: StreamOptions) {
  for await (const { event, data } of messagesOf(open, options)) {
    if (types.includes(event as Type)) yield { type: event, ...JSON.parse(data) };
  }
}

/** Gives the messages of a stream, which is opened again where it broke off, until the server says that there is no more. */
async function* messagesOf(
  open: OpenEvents,
  { patienceMs, signal, onConnection }: StreamOptions,
): AsyncGenerator<EventSourceMessage> {
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
    onConnection?.(true);
    const messages = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
    try {
      for await (const message of chunksOf(messages)) {
        yield message;
        lastId = message.id ?? lastId;
      }
    } catch (error) {
      // The connection broke off: what came is known by its id.
      if (signal?.aborted || error instanceof SyntaxError) throw error;
    }
    onConnection?.(false);
    // A server that accepts and hangs up at once is not to be asked in a loop.
    await new Promise((resolve) => setTimeout(resolve, RETRY.minTimeout));
  }
}

/** Not every browser lets one iterate over a stream. */
async function* chunksOf<Chunk>(stream: ReadableStream<Chunk>): AsyncGenerator<Chunk> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
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
    case 'steps':
    case 'gap':
    case 'end':
      return { type: event, ...JSON.parse(data) };
    default:
      return null;
  }
}

const bytesOfBase64 = (text: string) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
