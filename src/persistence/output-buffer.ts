/** What a command has printed and the journal has not committed yet. */
import type { Stream } from '../command.ts';
import type { OutputSink } from '../ports.ts';
import type { OutputRow } from './commands.ts';

/** How many bytes of one command may wait for their commit before its pipes are paused. */
export const WINDOW_BYTES = 1024 * 1024;

/** What a piece costs besides its bytes, about: scripts that alternate between their streams make many small ones. */
const PIECE_BYTES = 200;

/** Smaller chunks are copied together: a script that prints single bytes must not cost an object for each. */
const BLOCK_BYTES = 16 * 1024;

interface Piece {
  stream: Stream;
  bytes: Uint8Array;
}

/** Tells the journal what changed. */
export interface OutputObserver {
  wrote(buffer: OutputBuffer, heldBytes: number): void;
  /** The writer waits for room. */
  full(buffer: OutputBuffer): void;
  hasRoom(): boolean;
}

export class OutputBuffer implements OutputSink {
  readonly uuid: string;
  readonly durable: boolean;
  onDrain: () => void = () => {};
  onCommitted: (upTo: number) => void = () => {};
  /** Bytes not handed to a batch yet. */
  pendingBytes = 0;
  /** Memory that they hold. */
  pendingMemory = 0;
  /** Memory that a batch under way holds. */
  inFlightMemory = 0;
  /** All bytes ever written, those that were stored before included. */
  totalBytes: number;
  #pieces: Piece[] = [];
  /** The block that small chunks are copied to; its used part is the last piece. */
  #block: Buffer | null = null;
  #blocked = false;
  readonly #observer: OutputObserver;

  constructor(uuid: string, durable: boolean, observer: OutputObserver, storedBytes = 0) {
    this.uuid = uuid;
    this.durable = durable;
    this.totalBytes = storedBytes;
    this.#observer = observer;
  }

  write(stream: Stream, bytes: Uint8Array): boolean {
    const pieces = this.#pieces.length;
    this.#add(stream, bytes);
    const held = bytes.length + (this.#pieces.length - pieces) * PIECE_BYTES;
    this.pendingBytes += bytes.length;
    this.pendingMemory += held;
    this.totalBytes += bytes.length;
    this.#observer.wrote(this, held);
    this.#blocked = !this.#mayWrite();
    return !this.#blocked;
  }

  full(): void {
    this.#observer.full(this);
  }

  /** Takes up to about `maxBytes` and at most `maxRows` for a batch. */
  take(maxBytes: number, maxRows: number): OutputRow[] {
    let offset = this.totalBytes - this.pendingBytes;
    const rows: OutputRow[] = [];
    let taken = 0;
    let count = 0;
    while (count < this.#pieces.length && taken < maxBytes && rows.length < maxRows) {
      // Neighbours of one stream become one row.
      const { stream } = this.#pieces[count] as Piece;
      const parts: Uint8Array[] = [];
      let length = 0;
      while (count < this.#pieces.length && this.#pieces[count]?.stream === stream && taken < maxBytes) {
        const { bytes } = this.#pieces[count++] as Piece;
        parts.push(bytes);
        length += bytes.length;
        taken += bytes.length;
      }
      rows.push({
        uuid: this.uuid,
        offset,
        stream,
        bytes: parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts),
      });
      offset += length;
    }
    this.#pieces = count === this.#pieces.length ? [] : this.#pieces.slice(count);
    this.#block = null;
    const held = taken + count * PIECE_BYTES;
    this.pendingBytes -= taken;
    this.pendingMemory -= held;
    this.inFlightMemory += held;
    return rows;
  }

  /** What was taken last is committed. */
  committed(): void {
    this.inFlightMemory = 0;
    this.onCommitted(this.totalBytes - this.pendingBytes);
  }

  /** Lets the writer go on if it was refused and there is room again. */
  wake(): void {
    if (!this.#blocked || !this.#mayWrite()) return;
    this.#blocked = false;
    this.onDrain();
  }

  #mayWrite(): boolean {
    return this.pendingMemory + this.inFlightMemory < WINDOW_BYTES && this.#observer.hasRoom();
  }

  #add(stream: Stream, bytes: Uint8Array): void {
    const last = this.#pieces.at(-1);
    if (bytes.length >= BLOCK_BYTES / 4) {
      this.#block = null;
      this.#pieces.push({ stream, bytes });
    } else if (this.#block !== null && last?.stream === stream && last.bytes.length + bytes.length <= BLOCK_BYTES) {
      this.#block.set(bytes, last.bytes.length);
      last.bytes = this.#block.subarray(0, last.bytes.length + bytes.length);
    } else {
      this.#pieces.push({ stream, bytes });
      this.#block = null;
      if (last?.stream === stream) {
        // The second small chunk of a stream in a row: there will be more.
        this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
        this.#block.set(bytes);
        (this.#pieces.at(-1) as Piece).bytes = this.#block.subarray(0, bytes.length);
      }
    }
  }
}
