/**
 * What a script says of its progress: lines such as `42`, `42 %` or `42.5 unpacking`. All other lines mean nothing.
 *
 * A script may say more than anybody can look at, so only the latest is searched for, from the end.
 */
import { PROGRESS_TEXT_MAX_CHARACTERS, type Progress } from '../command.ts';
import { Mask } from './mask.ts';

/** A longer line means nothing, in bytes. */
const LINE_MAX_BYTES = 4096;

const NEWLINE = 0x0a;
const BLANKS = [0x20, 0x09];

export class ProgressLines {
  /** Undefined where there are no secrets. */
  readonly #mask: Mask | undefined;
  /** The beginning of a line that is not whole yet. */
  #rest: Buffer = Buffer.alloc(0);

  /** @param secrets stand as `***` in what it gives. */
  constructor(secrets: readonly string[]) {
    this.#mask = secrets.length === 0 ? undefined : new Mask(secrets);
  }

  /** Takes bytes as they were written, and keeps none of them. @returns the latest progress in them; null: there is none. */
  push(bytes: Buffer): Progress | null {
    // Before anything is masked: taken out later they could put a secret together.
    const text = bytes.includes(0) ? bytes.filter((byte) => byte !== 0) : bytes;
    return this.#take(this.#mask?.push(text) ?? text);
  }

  /** Nothing follows: what stands behind the last line end is a line too. @returns as `push`. */
  end(): Progress | null {
    const held = this.#mask?.end() ?? Buffer.alloc(0);
    return this.#take(Buffer.concat([held, Buffer.of(NEWLINE)]));
  }

  #take(bytes: Uint8Array): Progress | null {
    const text = Buffer.concat([this.#rest, bytes]);
    const whole = text.lastIndexOf(NEWLINE) + 1;
    // One byte too many says as well as all of them that the line is too long.
    this.#rest = Buffer.from(text.subarray(whole, whole + LINE_MAX_BYTES + 1));
    return latestIn(text.subarray(0, whole));
  }
}

/** @param lines all of them whole. */
function latestIn(lines: Buffer): Progress | null {
  for (let end = lines.length - 1; end >= 0; ) {
    let start = end;
    while (start > 0 && lines[start - 1] !== NEWLINE) start--;
    const progress = mayBeProgress(lines, start, end) ? progressOf(lines.toString('utf8', start, end)) : null;
    if (progress !== null) return progress;
    end = start - 1;
  }
  return null;
}

/** A first look, which costs nearly nothing. */
function mayBeProgress(lines: Buffer, start: number, end: number): boolean {
  if (end - start > LINE_MAX_BYTES) return false;
  let first = start;
  while (BLANKS.includes(lines[first] as number)) first++;
  const byte = lines[first] as number;
  return byte >= 0x30 && byte <= 0x39;
}

function progressOf(line: string): Progress | null {
  // With a comma where printf(1) writes numbers so.
  const [, number, text = ''] = /^[ \t]*(\d{1,3}(?:[.,]\d+)?)[ \t]*%?(?:[ \t]+(.*))?\s*$/s.exec(line) ?? [];
  if (number === undefined) return null;
  const percent = Number(number.replace(',', '.'));
  if (percent > 100) return null;
  const characters = [...text.trim()].slice(0, PROGRESS_TEXT_MAX_CHARACTERS);
  return { percent: Math.round(percent * 100) / 100, text: characters.join('') };
}
