/**
 * Keeps the characters of an output whole: chunks end anywhere, and between two of one stream may come one of the other.
 * The beginning of a character is held back until the rest of it comes.
 *
 * How far somebody is who was sent what this gives is a `Place`, from which another server can go on: what is held follows
 * from the bytes alone.
 */
import type { Stream } from '../command.ts';

/** Most bytes of a character that is not whole. */
const HELD_MAX_BYTES = 3;

/** How far an output was sent. */
export interface Place {
  /** Nothing from here on was sent. */
  at: number;
  /** Before that all was sent, but for characters that are not whole, of which the first begins here. */
  held: number;
}

/** Bytes of one stream; where another stream came in the middle of a character they are not all neighbours. */
export interface Run {
  stream: Stream;
  /** The place of the first of them. */
  offset: number;
  bytes: Uint8Array;
}

export class WholeCharacters {
  readonly #held = new Map<Stream, { places: number[]; bytes: number[] }>();
  /** Where that ends which was taken, and which was given: together with what is held it is the same. */
  #at: number;
  #givenUpTo: number;

  constructor(from: number) {
    this.#at = from;
    this.#givenUpTo = from;
  }

  get place(): Place {
    const held = Math.min(...this.#held.values().map(({ places }) => places[0] as number));
    if (held === Number.POSITIVE_INFINITY) return { at: this.#at, held: this.#at };
    return held >= this.#givenUpTo ? { at: held, held } : { at: this.#at, held };
  }

  /** Passes over bytes that nobody wants. */
  skip(upTo: number): void {
    this.#at = upTo;
  }

  /** Takes what comes next. @returns what is whole now, if anything. */
  take({ stream, offset, bytes }: Run): Run | null {
    const before = this.#held.get(stream) ?? { places: [], bytes: [] };
    this.#held.delete(stream);
    const all = before.bytes.length === 0 ? bytes : Buffer.concat([Uint8Array.from(before.bytes), bytes]);
    const placeOf = (i: number) => before.places[i] ?? offset + i - before.places.length;
    const whole = all.length - beginningAtEnd(all);
    if (whole < all.length) {
      const rest = Array.from({ length: all.length - whole }, (_, i) => whole + i);
      this.#held.set(stream, { places: rest.map(placeOf), bytes: rest.map((i) => all[i] as number) });
    }
    this.#at = offset + bytes.length;
    if (whole === 0) return null;
    this.#givenUpTo = Math.max(this.#givenUpTo, placeOf(whole - 1) + 1);
    return { stream, offset: placeOf(0), bytes: all.subarray(0, whole) };
  }

  /** Gives, one after the other, what will never be whole: nothing follows, or nothing that is kept. */
  *rests(): Generator<Run> {
    // In the order of their places: else what was given already would be held again by who goes on from here.
    const held = [...this.#held].sort(([, a], [, b]) => (a.places[0] as number) - (b.places[0] as number));
    for (const [stream, { places, bytes }] of held) {
      this.#held.delete(stream);
      this.#givenUpTo = Math.max(this.#givenUpTo, (places.at(-1) as number) + 1);
      yield { stream, offset: places[0] as number, bytes: Uint8Array.from(bytes) };
    }
  }
}

/** How many bytes at the end are the beginning of a character of UTF-8 (RFC 3629). */
function beginningAtEnd(bytes: Uint8Array): number {
  for (let length = 1; length <= Math.min(HELD_MAX_BYTES, bytes.length); length++) {
    const byte = bytes[bytes.length - length] as number;
    if (byte >= 0x80 && byte < 0xc0) continue;
    const whole = byte < 0xc2 || byte > 0xf4 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    return length < whole ? length : 0;
  }
  return 0;
}
