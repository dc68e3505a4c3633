/**
 * Colours and styles of text as terminals know them (ECMA-48, SGR). What moves the cursor is left out: the output of a
 * script is read as text, of which every line stays.
 */

/** A colour: one of the 16 with names by its number, or as CSS has it. */
export type Colour = number | string;

export interface TextStyle {
  readonly fg?: Colour;
  readonly bg?: Colour;
  readonly bold?: true;
  readonly dim?: true;
  readonly italic?: true;
  readonly underline?: true;
  readonly strike?: true;
  readonly inverse?: true;
}

export interface Span {
  text: string;
  style: TextStyle;
  /** Whether it came from stderr. */
  isError: boolean;
}

export const PLAIN: TextStyle = {};

const ESC = '\u001b';
/** Written by us where the stream changes within a line. */
export const switchTo = (isError: boolean) => `${ESC}]stream;${isError ? 'stderr' : 'stdout'}\u0007`;

/** Characters that show nothing, and begin what shows nothing. */
const CHARACTERS = '[\\u0000-\\u0008\\u000b-\\u001f\\u007f]';
/** Sequences with parameters, with a text, of one character; and those characters. */
const CONTROL = new RegExp(
  [
    `${ESC}\\[([0-9;:<=>?]*)[ -/]*([@-~])`,
    `${ESC}\\]([^\\u0007${ESC}]*)(?:\\u0007|${ESC}\\\\)?`,
    `${ESC}[PX^_][^${ESC}]*(?:${ESC}\\\\)?`,
    `${ESC}[ -/]*[0-~]?`,
    CHARACTERS,
  ].join('|'),
  'g',
);

/** Most lines have none of it, which is found out quickly. */
const BEGIN_OF_CONTROL = new RegExp(CHARACTERS);

/** The text without all that does not show. */
export const plainOf = (line: string) => (BEGIN_OF_CONTROL.test(line) ? visiblePart(line).replace(CONTROL, '') : line);

/** A line in parts that look the same. @returns the style that the next line begins with, too. */
export function spansOf(line: string, begin: TextStyle, isErrorAtBegin: boolean): { spans: Span[]; end: TextStyle } {
  const spans: Span[] = [];
  let style = begin;
  let isError = isErrorAtBegin;
  let from = 0;
  const text = visiblePart(line);
  for (const match of text.matchAll(CONTROL)) {
    if (match.index > from) spans.push({ text: text.slice(from, match.index), style, isError });
    from = match.index + match[0].length;
    const [, parameters = '', final, command] = match;
    if (final === 'm') style = styled(style, parameters);
    if (command === 'stream;stderr') isError = true;
    if (command === 'stream;stdout') isError = false;
  }
  if (from < text.length) spans.push({ text: text.slice(from), style, isError });
  return { spans, end: style };
}

/** After a carriage return a terminal writes over what was there: bars of progress do. */
function visiblePart(line: string): string {
  if (!line.includes('\r')) return line;
  const parts = line.split('\r').filter((part) => part !== '');
  return parts.at(-1) ?? '';
}

/** What becomes of a style by the parameters of a sequence. */
function styled(before: TextStyle, parameters: string): TextStyle {
  const codes = parameters.split(/[;:]/).map(Number);
  let style = before;
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i] ?? 0;
    if (code === 38 || code === 48) {
      const { colour, used } = extended(codes.slice(i + 1));
      i += used;
      if (colour !== undefined) style = { ...style, [code === 38 ? 'fg' : 'bg']: colour };
    } else style = withCode(style, code);
  }
  return style;
}

const ON: Record<number, keyof TextStyle> = {
  1: 'bold',
  2: 'dim',
  3: 'italic',
  4: 'underline',
  7: 'inverse',
  9: 'strike',
};
const OFF: Record<number, (keyof TextStyle)[]> = {
  0: ['fg', 'bg', 'bold', 'dim', 'italic', 'underline', 'inverse', 'strike'],
  22: ['bold', 'dim'],
  23: ['italic'],
  24: ['underline'],
  27: ['inverse'],
  29: ['strike'],
  39: ['fg'],
  49: ['bg'],
};

function withCode(style: TextStyle, code: number): TextStyle {
  const on = ON[code];
  if (on !== undefined) return { ...style, [on]: true };
  const off = OFF[code];
  if (off !== undefined) {
    return Object.fromEntries(Object.entries(style).filter(([name]) => !off.includes(name as keyof TextStyle)));
  }
  if (code >= 30 && code <= 37) return { ...style, fg: code - 30 };
  if (code >= 40 && code <= 47) return { ...style, bg: code - 40 };
  if (code >= 90 && code <= 97) return { ...style, fg: code - 82 };
  if (code >= 100 && code <= 107) return { ...style, bg: code - 92 };
  return style;
}

/** `5;n` of 256 colours, `2;r;g;b` of all. @returns how many codes it took. */
function extended([kind, ...rest]: number[]): { colour?: Colour; used: number } {
  if (kind === 5) return { colour: ofPalette(rest[0] ?? 0), used: 2 };
  const [r = 0, g = 0, b = 0] = rest;
  if (kind === 2) return { colour: `rgb(${r} ${g} ${b})`, used: 4 };
  return { used: 1 };
}

/** The 256 colours of xterm: 16 with names, a cube of 6 × 6 × 6, 24 greys. */
function ofPalette(n: number): Colour {
  if (n < 16) return n;
  if (n >= 232) {
    const grey = 8 + (n - 232) * 10;
    return `rgb(${grey} ${grey} ${grey})`;
  }
  const level = (step: number) => (step === 0 ? 0 : 55 + step * 40);
  const at = n - 16;
  return `rgb(${level(Math.floor(at / 36))} ${level(Math.floor(at / 6) % 6)} ${level(at % 6)})`;
}
