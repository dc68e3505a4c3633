/** Sends the output of a command part by part, as far as its client takes it, and goes on until the command ends. */
import { Readable } from 'node:stream';
import type { OutputPart, OutputQuery, Watch } from '../ports/reader.ts';

/** Reads a part of the output that is asked for. @throws CommandNotFound when the command has been deleted. */
export type Read = (query: OutputQuery) => Promise<OutputPart>;

/** Which bytes are sent, by their places in all that was printed. */
export interface Wanted extends OutputQuery {
  /** Whether to wait for more until the command ends. */
  follow: boolean;
}

export interface Source {
  read: Read;
  startWatch: () => Watch;
  /** Reads the steps that the command took, as they are sent; undefined: nobody wants them. */
  readSteps?: (() => Promise<readonly object[]>) | undefined;
  /** Whether an error of a read may pass. */
  mayPass: (error: unknown) => boolean;
  /** Aborts when there is no more use in going on. */
  ending: AbortSignal;
}

/**
 * Reads one part after the other; null where the database did not answer. Of a command that is followed each look gives
 * one, within about a second, though nothing is in it.
 * @throws when it can't go on to the end: then the connection is cut, so that the client does not take it for the end.
 */
export async function* partsOf(source: Source, wanted: Wanted): AsyncGenerator<OutputPart | null> {
  const { before, stream, follow } = wanted;
  const { read, mayPass, ending } = source;
  // Before the first look, so that nothing is missed in between; in here, so that it ends in any case.
  using watch = source.startWatch();
  for (let at = wanted.from; ; ) {
    const isLast = ending.aborted;
    const part = await read({ from: at, before, stream }).catch((error) => {
      if (follow && mayPass(error)) return null;
      throw error;
    });
    const last = part?.pieces.at(-1);
    if (last !== undefined) at = last.offset + last.length;
    yield part;
    if (part !== null) {
      if (last !== undefined && at < Math.min(before, part.upTo)) continue;
      if (part.ended || !follow) return;
    }
    if (isLast) throw new Error('the server ends before the command that is followed, or the client is gone');
    await watch.next(ending);
  }
}

/**
 * A stream of what is made for it, made only when the client has taken what was there: `Readable.from` would make and
 * keep one more.
 */
export function onDemand(chunks: AsyncGenerator<Uint8Array | string>): Readable {
  return new Readable({
    // An empty chunk counts: it sends the headers.
    objectMode: true,
    highWaterMark: 0,
    read() {
      chunks.next().then(
        ({ value, done }) => this.push(done ? null : value),
        (error) => this.destroy(error),
      );
    },
    destroy(error, done) {
      // One that waits ends by its signal.
      void chunks.return(undefined).catch(() => {});
      done(error);
    },
  });
}
