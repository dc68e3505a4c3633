/**
 * What a script has printed and the server has not acknowledged: kept for retransmission, like TCP's send window.
 * When it is full the script's pipes are paused, and the script waits in write(2).
 */
import type { Stream } from '../command.ts';
import type { OutputSink } from '../ports/process.ts';

/** Most unacknowledged bytes of one script. */
export const WINDOW_BYTES = 1024 * 1024;
/** Most unacknowledged bytes of all scripts together. */
const ALL_WINDOWS_BYTES = 40 * 1024 * 1024;

/** What a piece costs besides its bytes, about: scripts that alternate between their streams make many small ones. */
const PIECE_BYTES = 200;
/** Up to this size neighbours are kept as one: a script that prints single bytes must not cost an object for each. */
const SMALL_BYTES = 4096;

interface Piece {
  stream: Stream;
  offset: number;
  bytes: Uint8Array;
}

/** Told of what happens in a window. */
export interface WindowObserver {
  onPiece(piece: Piece): unknown;
  /** The script waits for an acknowledgement. */
  onFull(): unknown;
}

/** The memory that all windows share. */
export class WindowPool {
  #bytes = 0;
  readonly #windows = new Set<Window>();

  get hasRoom(): boolean {
    return this.#bytes < ALL_WINDOWS_BYTES;
  }

  open(observer: WindowObserver): Window {
    const window = new Window(this, observer);
    this.#windows.add(window);
    return window;
  }

  close(window: Window): void {
    this.#windows.delete(window);
    window.discard();
  }

  /** Called by the windows. */
  count(difference: number): void {
    const wasFull = !this.hasRoom;
    this.#bytes += difference;
    if (wasFull && this.hasRoom) for (const window of this.#windows) window.wake();
    if (!wasFull && !this.hasRoom) for (const window of this.#windows) window.full();
  }
}

export class Window implements OutputSink {
  onDrain: () => void = () => {};
  onCommitted: () => void = () => {};
  readonly #pool: WindowPool;
  readonly #observer: WindowObserver;
  #pieces: Piece[] = [];
  /** Memory that it holds, in bytes. */
  #memory = 0;
  /** All bytes that were ever written. */
  #end = 0;
  #paused = false;
  #isDiscarded = false;

  constructor(pool: WindowPool, observer: WindowObserver) {
    this.#pool = pool;
    this.#observer = observer;
  }

  write(stream: Stream, bytes: Uint8Array): boolean {
    if (this.#isDiscarded) return true;
    const piece = { stream, offset: this.#end, bytes };
    const pieces = this.#pieces.length;
    const last = this.#pieces.at(-1);
    if (last?.stream === stream && last.bytes.length + bytes.length <= SMALL_BYTES) {
      last.bytes = Buffer.concat([last.bytes, bytes]);
    } else {
      this.#pieces.push({ ...piece });
    }
    this.#end += bytes.length;
    const held = bytes.length + (this.#pieces.length - pieces) * PIECE_BYTES;
    this.#memory += held;
    this.#observer.onPiece(piece);
    this.#pool.count(held);
    this.#paused = !this.#mayWrite();
    if (this.#paused) this.full();
    return !this.#paused;
  }

  /** Asks for an acknowledgement, if anything is here to be acknowledged. */
  full(): void {
    if (this.#pieces.length > 0) this.#observer.onFull();
  }

  /** Whether the script waits. */
  get isPaused(): boolean {
    return this.#paused;
  }

  /** Everything from a byte on that is still here. */
  *from(offset: number): Iterable<Piece> {
    for (const { stream, offset: start, bytes } of this.#pieces) {
      if (start + bytes.length <= offset) continue;
      const skip = Math.max(0, offset - start);
      yield { stream, offset: start + skip, bytes: bytes.subarray(skip) };
    }
  }

  /** All bytes before this one need not be sent again. */
  acknowledge(upTo: number): void {
    let done = 0;
    let freed = 0;
    for (const { offset, bytes } of this.#pieces) {
      if (offset + bytes.length > upTo) break;
      done++;
      freed += bytes.length + PIECE_BYTES;
    }
    if (done === 0) return;
    this.#pieces.splice(0, done);
    this.#memory -= freed;
    this.#pool.count(-freed);
    this.wake();
  }

  /** Lets go of what is here and of all that comes: nobody wants it any more. */
  discard(): void {
    this.#isDiscarded = true;
    this.acknowledge(Number.POSITIVE_INFINITY);
    this.wake();
  }

  /** Lets the script go on if it was paused and there is room again. */
  wake(): void {
    if (!this.#paused || !(this.#isDiscarded || this.#mayWrite())) return;
    this.#paused = false;
    this.onDrain();
  }

  #mayWrite(): boolean {
    return this.#memory < WINDOW_BYTES && this.#pool.hasRoom;
  }
}
