/**
 * Replaces secrets in a stream of bytes, however it is cut into chunks: the same as if the whole stream were looked at
 * from left to right, and at each place the longest secret that stands there counted.
 *
 * Held back is only what may be the beginning of a secret, so at most the longest one without its last byte. Whole secrets
 * are found by `indexOf`; where one may have begun at the end of what is there is followed byte by byte, by the algorithm
 * of Knuth, Morris and Pratt, so that a long secret that comes in single bytes is not compared again at each of them.
 */

/** What stands in the place of a secret. */
const MASK = Buffer.from('***');

const NOWHERE = Number.POSITIVE_INFINITY;

interface Secret {
  readonly bytes: Buffer;
  /** For each of its beginnings, by length - 1: how long the next shorter one is that it ends with. */
  readonly borders: readonly number[];
  /** How long its longest beginning is that the text ends with. */
  matched: number;
  /** Where it stands next in the text... */
  next: number;
  /** ...and if nowhere, how much of the text that was said of. */
  searched: number;
}

export class Mask {
  /** Longest first. */
  readonly #secrets: Secret[];
  #held: Buffer = Buffer.alloc(0);

  /** @param secrets none of them empty. */
  constructor(secrets: Iterable<string>) {
    this.#secrets = [...new Set(secrets)]
      .map((text) => Buffer.from(text))
      .sort((a, b) => b.length - a.length)
      .map((bytes) => ({ bytes, borders: bordersOf(bytes), matched: 0, next: NOWHERE, searched: 0 }));
  }

  /** Takes a chunk. @returns what can be said of all so far; nothing where all may be the beginning of a secret. */
  push(chunk: Uint8Array): Uint8Array {
    const text = this.#held.length === 0 ? asBuffer(chunk) : Buffer.concat([this.#held, chunk]);
    for (const secret of this.#secrets) follow(secret, text, chunk.length);
    return this.#replace(text, false);
  }

  /** The stream is over. @returns what was held back. */
  end(): Uint8Array {
    return this.#replace(this.#held, true);
  }

  #replace(text: Buffer, isAll: boolean): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let start = 0; ; ) {
      let at = NOWHERE;
      let length = 0;
      for (const secret of this.#secrets) {
        search(secret, text, start);
        if (secret.next >= at) continue;
        at = secret.next;
        length = secret.bytes.length;
      }
      const certain = isAll ? text.length : this.#firstBeginning(text.length, start);
      // Where a beginning stands before a whole secret, or is that of a longer one, it may still become what counts.
      if (at >= certain) {
        parts.push(text.subarray(start, certain));
        this.#held = Buffer.from(text.subarray(certain));
        for (const secret of this.#secrets) {
          secret.next -= certain;
          secret.searched -= certain;
        }
        return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
      }
      parts.push(text.subarray(start, at), MASK);
      start = at + length;
    }
  }

  /** Where, from `start` on, the first secret begins of which the end of the text cuts something off. */
  #firstBeginning(end: number, start: number): number {
    let longest = 0;
    for (const secret of this.#secrets) {
      while (end - secret.matched < start) secret.matched = secret.borders[secret.matched - 1] as number;
      longest = Math.max(longest, secret.matched);
    }
    return end - longest;
  }
}

/** Looks where a secret stands from `start` on, where that is not known. */
function search(secret: Secret, text: Buffer, start: number): void {
  const { bytes, next, searched } = secret;
  if (next >= start && (next !== NOWHERE || searched === text.length)) return;
  const from = next === NOWHERE ? Math.max(start, searched - bytes.length + 1) : start;
  const found = text.indexOf(bytes, from);
  secret.next = found === -1 ? NOWHERE : found;
  secret.searched = text.length;
}

/** Takes note of what a text ends with when so many bytes have been added to it. */
function follow(secret: Secret, text: Buffer, added: number): void {
  const { bytes, borders } = secret;
  let from = text.length - added;
  if (added >= bytes.length) {
    from = text.length - bytes.length + 1;
    secret.matched = 0;
  }
  for (let i = from; i < text.length; i++) {
    while (secret.matched > 0 && bytes[secret.matched] !== text[i]) {
      secret.matched = borders[secret.matched - 1] as number;
    }
    if (bytes[secret.matched] === text[i]) secret.matched++;
    // A whole one has nothing cut off.
    if (secret.matched === bytes.length) secret.matched = borders[bytes.length - 1] as number;
  }
}

function bordersOf(bytes: Buffer): number[] {
  const borders = [0];
  for (let i = 1, length = 0; i < bytes.length; i++) {
    while (length > 0 && bytes[length] !== bytes[i]) length = borders[length - 1] as number;
    if (bytes[length] === bytes[i]) length++;
    borders.push(length);
  }
  return borders;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
