/**
 * What a JSON text is made of, before it is parsed. 11 MiB of one string are parsed in 20 ms, 11 MiB of brackets or of
 * short keys in one or two seconds, in which the server does nothing else.
 */

/** A text up to this length is parsed in a few ms whatever it holds, so it need not be looked at. */
const SHORT_BYTES = 64 * 1024;
/** A request has 2,200 values at most: variables, secrets, arguments, labels. */
const COMMAS_MAX = 20_000;
/** Together they take some 30 ms; that they mean nothing to us says the schema. */
const BRACKETS_MAX = 250_000;

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPENING_BRACKET = 0x5b;
const OPENING_BRACE = 0x7b;

/** What is too much in a JSON text, as the end of a sentence; undefined when it may be parsed. It need not be valid. */
export function shapeProblem(json: Uint8Array): string | undefined {
  if (json.length <= SHORT_BYTES) return undefined;
  let commas = 0;
  let brackets = 0;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i];
    if (byte === QUOTE) i = endOfString(json, i + 1);
    else if (byte === COMMA) {
      if (++commas > COMMAS_MAX) return `it has more than ${COMMAS_MAX} values`;
    } else if (byte === OPENING_BRACKET || byte === OPENING_BRACE) {
      if (++brackets > BRACKETS_MAX) return `it has more than ${BRACKETS_MAX} arrays and objects`;
    }
  }
  return undefined;
}

/** Of a long string the rest is searched by the machine's own means: of short ones that would cost more than it saves. */
const LOOKED_AT_BYTES = 1024;

/** The place of the quote that ends a string. */
function endOfString(json: Uint8Array, start: number): number {
  for (let from = start; ; ) {
    const upTo = from + LOOKED_AT_BYTES;
    let i = from;
    for (; i < upTo; i++) {
      const byte = json[i];
      if (byte === QUOTE || byte === undefined) return i;
      if (byte === BACKSLASH) i++;
    }
    const quote = json.indexOf(QUOTE, i);
    if (quote < 0) return json.length;
    if (!isEscaped(json, quote, i)) return quote;
    from = quote + 1;
  }
}

/** Whether the byte at `place` is escaped by those before it, of which the one at `from` is not. */
function isEscaped(json: Uint8Array, place: number, from: number): boolean {
  let before = place;
  while (before > from && json[before - 1] === BACKSLASH) before--;
  return (place - before) % 2 === 1;
}
