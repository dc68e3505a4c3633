/**
 * What a command has printed and the journal has not committed yet.
 *
 * Of an output that is longer than its limit, head and tail are kept. The head is stored like any output. Behind it
 * everything may be the tail or not: the latest `tailBytes` wait here, and what falls out of them is let go without
 * ever having been stored; should the server crash, the launcher has them still. Some of them are stored all the same,
 * because the command is durable or memory is short, and deleted when they fall out: the `cut` of each batch.
 */
import type { OutputLimit, Stream } from '../command.ts';
import type { CommandOutput } from '../ports/journal.ts';
import type { Cut, OutputRow } from './sql/output.ts';

/** How many bytes of one command may wait for their commit before its pipes are paused. */
export const WINDOW_BYTES = 1024 * 1024;

/** What a piece costs besides its bytes, about: scripts that alternate between their streams make many small ones. */
const PIECE_BYTES = 200;

/**
 * Chunks of less than a quarter of this are copied together: a script that prints single bytes must not cost an object
 * for each. A block doubles, from the first size to the second, as it fills.
 */
const FIRST_BLOCK_BYTES = 1024;
const BLOCK_BYTES = 16 * 1024;

/** What is not kept is let go in steps of about this size: each of them is told to the launcher. */
const DROP_BYTES = 128 * 1024;

interface Piece {
  stream: Stream;
  /** Place of its first byte in the whole output. */
  offset: number;
  bytes: Uint8Array;
  /** What it holds, in bytes: a block that is not full, or partly let go, is held as a whole. */
  memory: number;
}

/** Tells the journal what changed. */
export interface OutputObserver {
  /** It holds so much more, or less, memory. */
  wrote(buffer: OutputBuffer, heldBytes: number): void;
  /** The writer waits for room. */
  full(buffer: OutputBuffer): void;
  hasRoom(): boolean;
}

export class OutputBuffer implements CommandOutput {
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
  readonly overLimit: Promise<void>;
  /** All bytes ever written, those that were stored before or let go included. */
  totalBytes: number;
  #pieces: Piece[] = [];
  /** The block that small chunks are copied to; its used part is the last piece. */
  #block: Buffer | null = null;
  #blocked = false;
  /** Where that ends which was handed to batches, which of it is committed, and what was last let go. */
  #takenUpTo: number;
  #committedUpTo: number;
  #droppedUpTo = 0;
  readonly #limit: OutputLimit;
  readonly #onOverLimit: () => void;
  readonly #observer: OutputObserver;

  constructor(uuid: string, durable: boolean, limit: OutputLimit, observer: OutputObserver, storedUpTo = 0) {
    this.uuid = uuid;
    this.durable = durable;
    this.#limit = limit;
    this.totalBytes = this.#takenUpTo = this.#committedUpTo = storedUpTo;
    this.#observer = observer;
    const overLimit = Promise.withResolvers<void>();
    this.overLimit = overLimit.promise;
    this.#onOverLimit = overLimit.resolve;
    this.#checkLimit();
  }

  write(stream: Stream, bytes: Uint8Array, offset = this.totalBytes): boolean {
    // The server before this one has let go of what lies between.
    if (offset > this.totalBytes) this.#droppedUpTo = offset;
    this.totalBytes = offset;
    const before = this.pendingMemory;
    const ofHead = this.#limit.headBytes - offset;
    if (ofHead > 0 && ofHead < bytes.length) {
      this.#add(stream, bytes.subarray(0, ofHead));
      this.#add(stream, bytes.subarray(ofHead));
    } else this.#add(stream, bytes);
    this.#checkLimit();
    if (this.#tailStart - Math.max(this.#droppedUpTo, this.#takenUpTo, this.#limit.headBytes) >= DROP_BYTES) {
      this.#drop();
      this.#tellCommitted();
    }
    this.#observer.wrote(this, this.pendingMemory - before);
    this.#blocked = !this.#mayWrite();
    return !this.#blocked;
  }

  full(): void {
    // Where little is held here, the writer only has not heard yet what was let go.
    if (this.#isHeadCommitted() && this.pendingMemory < 0.75 * WINDOW_BYTES) this.#tellCommitted();
    else this.#observer.full(this);
  }

  /** From how much memory on what is held is written at once. */
  get urgentBytes(): number {
    // A loud durable command is not kept waiting: it prints on while the first half of its window is committed. Behind
    // its head there is no hurry: most of what it prints will be let go.
    return this.durable && !this.#isHeadCommitted() ? WINDOW_BYTES / 2 : WINDOW_BYTES;
  }

  /** What of that which was ever taken belongs neither to the head nor to the tail; null when all of it does. */
  get cut(): Cut | null {
    // What was let go is never tail again. Rows before it would leave a second gap in what is stored.
    const upTo = Math.max(this.#takenUpTo - this.#limit.tailBytes, this.#droppedUpTo);
    const from = this.#limit.headBytes;
    return upTo > from ? { uuid: this.uuid, from, upTo } : null;
  }

  /** Takes up to about `maxBytes` and at most `maxRows` for a batch. */
  take(maxBytes: number, maxRows: number): OutputRow[] {
    const pending = this.pendingMemory;
    this.#drop();
    const rows: OutputRow[] = [];
    let taken = 0;
    let memory = 0;
    let count = 0;
    while (count < this.#pieces.length && taken < maxBytes && rows.length < maxRows) {
      // Neighbours of one stream become one row.
      const { stream, offset } = this.#pieces[count] as Piece;
      const parts: Uint8Array[] = [];
      let end = offset;
      do {
        const piece = this.#pieces[count++] as Piece;
        parts.push(piece.bytes);
        end += piece.bytes.length;
        taken += piece.bytes.length;
        memory += piece.memory;
      } while (taken < maxBytes && this.#continues(this.#pieces[count], stream, end));
      rows.push({
        uuid: this.uuid,
        offset,
        stream,
        bytes: parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts),
      });
      this.#takenUpTo = end;
    }
    this.#pieces = count === this.#pieces.length ? [] : this.#pieces.slice(count);
    this.#block = null;
    this.pendingBytes -= taken;
    this.pendingMemory -= memory;
    this.inFlightMemory += pending - this.pendingMemory;
    return rows;
  }

  /** What was taken last is committed. */
  committed(): void {
    this.inFlightMemory = 0;
    this.#committedUpTo = this.#takenUpTo;
    this.#tellCommitted();
  }

  /** Lets the writer go on if it was refused and there is room again. */
  wake(): void {
    if (!this.#blocked || !this.#mayWrite()) return;
    this.#blocked = false;
    this.onDrain();
  }

  #mayWrite(): boolean {
    // Behind the head a script does not wait for the database: what is under way can be let go as well.
    const held = this.pendingMemory + (this.#isHeadCommitted() ? 0 : this.inFlightMemory);
    return held < WINDOW_BYTES && this.#observer.hasRoom();
  }

  #isHeadCommitted(): boolean {
    return this.#committedUpTo >= this.#limit.headBytes;
  }

  /** Where the tail would begin if this were all that is printed. */
  get #tailStart(): number {
    return this.totalBytes - this.#limit.tailBytes;
  }

  #checkLimit(): void {
    if (this.#tailStart > this.#limit.headBytes) this.#onOverLimit();
  }

  #tellCommitted(): void {
    const notKept = this.#isHeadCommitted() ? this.#tailStart : 0;
    this.onCommitted(Math.max(this.#committedUpTo, notKept));
  }

  /** Lets go of what belongs neither to the head nor, any more, to the tail. */
  #drop(): void {
    const upTo = this.#tailStart;
    const first = this.#pieces.findIndex(({ offset }) => offset >= this.#limit.headBytes);
    if (first === -1) return;
    let gone = 0;
    for (;;) {
      const piece = this.#pieces[first + gone] as Piece;
      const length = Math.min(upTo - piece.offset, piece.bytes.length);
      if (length <= 0) break;
      this.pendingBytes -= length;
      if (length < piece.bytes.length) {
        piece.bytes = piece.bytes.subarray(length);
        piece.offset += length;
        this.#block = null;
        break;
      }
      this.pendingMemory -= piece.memory;
      gone++;
    }
    this.#pieces.splice(first, gone);
    this.#droppedUpTo = Math.max(this.#droppedUpTo, upTo);
  }

  /** Whether a piece goes on in the row of a stream that ends here; no row goes from the head into the tail. */
  #continues(piece: Pick<Piece, 'stream' | 'offset'> | undefined, stream: Stream, end: number): boolean {
    return piece?.stream === stream && piece.offset === end && end !== this.#limit.headBytes;
  }

  #add(stream: Stream, bytes: Uint8Array): void {
    const offset = this.totalBytes;
    const last = this.#pieces.at(-1);
    if (bytes.length >= BLOCK_BYTES / 4) {
      this.#block = null;
      this.#push({ stream, offset, bytes, memory: bytes.length + PIECE_BYTES });
    } else if (
      this.#block !== null &&
      last !== undefined &&
      this.#continues({ stream, offset }, last.stream, endOf(last)) &&
      last.bytes.length + bytes.length <= BLOCK_BYTES
    ) {
      this.#append(this.#block, last, bytes);
    } else {
      // A copy: a single byte must not hold all that was read together with it.
      this.#block = Buffer.allocUnsafeSlow(bytes.length);
      this.#block.set(bytes);
      this.#push({ stream, offset, bytes: this.#block, memory: bytes.length + PIECE_BYTES });
    }
    this.totalBytes += bytes.length;
    this.pendingBytes += bytes.length;
  }

  #push(piece: Piece): void {
    this.#pieces.push(piece);
    this.pendingMemory += piece.memory;
  }

  /** Adds to the last piece, the used part of the block; a block that is full gives way to a larger one. */
  #append(block: Buffer, last: Piece, bytes: Uint8Array): void {
    const used = last.bytes.length;
    const length = used + bytes.length;
    let roomy = block;
    if (length > block.length) {
      let size = FIRST_BLOCK_BYTES;
      while (size < length) size *= 2;
      roomy = Buffer.allocUnsafeSlow(size);
      roomy.set(last.bytes);
      last.memory += size - block.length;
      this.pendingMemory += size - block.length;
    }
    roomy.set(bytes, used);
    last.bytes = roomy.subarray(0, length);
    this.#block = roomy;
  }
}

function endOf({ offset, bytes }: Piece): number {
  return offset + bytes.length;
}
