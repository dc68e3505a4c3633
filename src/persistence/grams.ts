/**
 * The trigrams of texts, by which a search finds its commands: all that three consecutive bytes of a text make, lower-cased, each
 * as one of 65,536 numbers. The function `command_grams` of the database computes the same, at a fortieth of the speed.
 */
import { SEARCHED_SCRIPT_CHARACTERS } from '../command.ts';

/** The numbers of the trigrams of one text, each once. */
export function gramsOf(...texts: readonly string[]): number[] {
  const grams = new Set<number>();
  for (const text of texts) {
    // JavaScript knows a second small sigma, at the end of words; PostgreSQL does not.
    const bytes = Buffer.from(text.replaceAll('Σ', 'σ').toLowerCase());
    for (let i = 0; i + 2 < bytes.length; i++) {
      const number = (bytes[i] as number) * 7919 + (bytes[i + 1] as number) * 263 + (bytes[i + 2] as number);
      grams.add((number % 65_536) - 32_768);
    }
  }
  return [...grams];
}

/** Of what a search looks at of a command. */
export function commandGrams({ description, script }: { description: string; script: string }): number[] {
  return gramsOf(description, script.slice(0, SEARCHED_SCRIPT_CHARACTERS));
}
