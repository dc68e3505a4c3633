/** A client of Server-Sent Events. */

export interface ServerEvent {
  event: string;
  id: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into events of many shapes
  data: any;
}

/** Gives the events of an answer as they come; ends, or throws, as the answer does. */
export async function* eventsOf(answer: Response): AsyncGenerator<ServerEvent> {
  let rest = '';
  for await (const text of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const blocks = (rest + text).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/s, 2)));
      if (fields.data !== undefined) yield { event: fields.event, id: fields.id, data: JSON.parse(fields.data) };
    }
  }
}

/** All events of an answer that ends. */
export async function allEvents(answer: Response | Promise<Response>): Promise<ServerEvent[]> {
  return Array.fromAsync(eventsOf(await answer));
}

/** The next events, as many as are wanted; the answer goes on. */
export async function nextEvents(events: AsyncGenerator<ServerEvent>, count: number): Promise<ServerEvent[]> {
  const found: ServerEvent[] = [];
  while (found.length < count) {
    const { value, done } = await events.next();
    if (done) throw new Error(`the answer ended after ${JSON.stringify(found)}`);
    found.push(value);
  }
  return found;
}

/** What events of one stream, or of both, say that was printed. */
export function printedBy(events: ServerEvent[], stream?: string): Buffer {
  const outputs = events.filter(({ event, data }) => event === 'output' && (stream ?? data.stream) === data.stream);
  return Buffer.concat(
    outputs.map(({ data }) => (data.text === undefined ? Buffer.from(data.base64, 'base64') : Buffer.from(data.text))),
  );
}

/** The `id` of an event of all commands without the transactions that happened to be open when it was read. */
export function withoutOpen(id: string): string {
  return id.split('.').slice(0, 3).join('.');
}
