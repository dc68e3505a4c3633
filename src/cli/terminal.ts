/** Writing to stdout and stderr as the readers take it. */
import { once } from 'node:events';
import type { WriteStream } from 'node:tty';
import type { Progress } from '../client/index.ts';

/** Whoever read what we print has gone, such as `head`. */
export class ReaderGone extends Error {}

/** Lets a reader that goes away be noticed by the next `write`. To be called once, at the start. */
export function noticeReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}

/** Resolves when there is room for more. @throws ReaderGone */
export async function write(to: NodeJS.WriteStream, bytes: Uint8Array | string): Promise<void> {
  if (to.errored) throw new ReaderGone();
  if (to.write(bytes)) return;
  await once(to, 'drain').catch(() => {
    throw new ReaderGone();
  });
}

const BAR_WIDTH = 24;

// What a terminal understands (ECMA-48, and DECAWM of the VT100).
const CLEAR_LINE = '\r\u001b[K';
/** Characters that take two columns must not push the bar into a second line, which nobody would clear. */
const WRAP_OFF = '\u001b[?7l';
const WRAP_ON = '\u001b[?7h';

/** A bar in the last line of a terminal; output goes above it. Nothing where stderr is no terminal. */
export class ProgressBar {
  readonly #to: WriteStream;
  #progress: Progress | null = null;
  #isShown = false;
  /** A bar can only stand at the beginning of a line. */
  #atLineStart = true;

  constructor(to: WriteStream = process.stderr) {
    this.#to = to;
  }

  set(progress: Progress): void {
    this.#progress = progress;
    this.#show();
  }

  /** Takes the bar away, writes, and shows it again. */
  async above(stream: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> {
    if (!stream.isTTY) return write(stream, bytes);
    this.hide();
    await write(stream, bytes);
    this.#atLineStart = bytes.at(-1) === 0x0a;
    this.#show();
  }

  hide(): void {
    if (this.#isShown) this.#to.write(CLEAR_LINE);
    this.#isShown = false;
  }

  #show(): void {
    if (this.#progress === null || !this.#to.isTTY || !this.#atLineStart) return;
    const { percent, text } = this.#progress;
    const filled = Math.round((percent / 100) * BAR_WIDTH);
    const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
    const line = `${bar} ${`${Math.round(percent)}`.padStart(3)} % ${printable(text)}`;
    this.#to.write(`${CLEAR_LINE}${WRAP_OFF}${line.slice(0, (this.#to.columns || 80) - 1)}${WRAP_ON}`);
    this.#isShown = true;
  }
}

/** Text that does to the terminal nothing but show: what a script says may hold control characters. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ');
}
