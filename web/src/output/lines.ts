/**
 * The output of a command in lines, as it comes. Kept is the text of each, and how it begins; what it looks like is found out
 * when it is seen. So a line costs little more than its text.
 */
import type { Stream } from '../../../src/command.ts';
import { PLAIN, plainOf, type Span, spansOf, switchTo, type TextStyle } from './ansi.ts';

/** Longer lines are cut, so that one without an end can be shown. */
const LINE_CHARACTERS = 4000;

export class Lines {
  readonly #texts: string[] = [];
  /** How many characters of each show. Counted as they come: to count a million at once would hold up the page. */
  readonly #widths: number[] = [];
  /** The style that each begins with, by its place in `#looks`; most begin with none. */
  readonly #begins: number[] = [];
  /** Whether each begins with stderr. */
  readonly #errors: boolean[] = [];
  readonly #looks: TextStyle[] = [PLAIN];
  readonly #numberOfLook = new Map([[JSON.stringify(PLAIN), 0]]);
  readonly #decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  #stream: Stream = 'stdout';
  /** Whether the last line may go on. */
  #isOpen = false;

  get length(): number {
    return this.#texts.length;
  }

  append(stream: Stream, bytes: Uint8Array): void {
    const first = Math.max(0, this.length - 1);
    this.#write(stream, this.#decoders[stream].decode(bytes, { stream: true }));
    for (let index = first; index < this.length; index++) this.#widths[index] = this.plainAt(index).length;
  }

  /** Adds a line of our own. */
  note(text: string): void {
    this.#isOpen = false;
    this.#begin('stdout');
    this.#texts[this.length - 1] = text;
    this.#widths[this.length - 1] = text.length;
    this.#isOpen = false;
  }

  /** A line without what does not show. */
  plainAt(index: number): string {
    return plainOf(this.#texts[index] ?? '');
  }

  /** How many characters of a line show. */
  widthAt(index: number): number {
    return this.#widths[index] ?? 0;
  }

  spansAt(index: number): Span[] {
    const text = this.#texts[index] ?? '';
    return spansOf(text, this.#looks[this.#begins[index] ?? 0] ?? PLAIN, this.#errors[index] ?? false).spans;
  }

  #write(stream: Stream, text: string): void {
    const parts = text.split('\n');
    parts.forEach((part, i) => {
      const isEnded = i < parts.length - 1;
      if (part === '' && !isEnded) return;
      let rest = part;
      do {
        if (!this.#isOpen) this.#begin(stream);
        else if (this.#stream !== stream) this.#add(switchTo(stream === 'stderr'));
        this.#stream = stream;
        const room = Math.max(1, LINE_CHARACTERS - (this.#texts.at(-1)?.length ?? 0));
        this.#add(rest.slice(0, room));
        rest = rest.slice(room);
        if (rest !== '') this.#isOpen = false;
      } while (rest !== '');
      if (isEnded) this.#isOpen = false;
    });
  }

  #add(text: string): void {
    this.#texts[this.length - 1] += text;
  }

  #begin(stream: Stream): void {
    this.#begins.push(this.#lookAfterLast());
    this.#errors.push(stream === 'stderr');
    this.#texts.push('');
    this.#stream = stream;
    this.#isOpen = true;
  }

  /** Styles go on over the end of a line. @returns the place of the look. */
  #lookAfterLast(): number {
    const before = this.#begins.at(-1) ?? 0;
    const last = this.#texts.at(-1) ?? '';
    return last.includes('\u001b') ? this.#numberOf(spansOf(last, this.#looks[before] ?? PLAIN, false).end) : before;
  }

  #numberOf(look: TextStyle): number {
    const key = JSON.stringify(look);
    const known = this.#numberOfLook.get(key);
    if (known !== undefined) return known;
    this.#numberOfLook.set(key, this.#looks.length);
    return this.#looks.push(look) - 1;
  }
}
