/** What becomes of all commands, by one connection for the whole page. */
import { signal } from '@preact/signals';
import type { ListEvent, Shellvisor } from '../../src/client/index.ts';
import { complain, sentenceOf } from './notices.ts';
import { state, withSession } from './session.ts';

type Listener = (event: ListEvent) => void;

/** Whether what is seen is what is. */
export const isLive = signal(false);

const listeners = new Set<Listener>();

/** @returns what ends it. */
export function onEvents(listener: Listener): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Listens to the server, however often it goes away. @returns what ends it. */
export function listen(client: Shellvisor): () => void {
  const ending = new AbortController();
  void withSession(pass(client, ending.signal)).catch((error) => {
    // Whoever has lost his token is told so where he is asked for another.
    if (!ending.signal.aborted && state.value === 'in') complain(sentenceOf(error));
  });
  return () => ending.abort();
}

async function pass(client: Shellvisor, signal: AbortSignal): Promise<void> {
  const onConnection = (isConnected: boolean) => {
    isLive.value = isConnected;
  };
  try {
    for await (const event of client.watch({ patienceMs: Number.POSITIVE_INFINITY, signal, onConnection })) {
      for (const listener of listeners) listener(event);
    }
  } finally {
    isLive.value = false;
  }
}
