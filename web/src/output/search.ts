/** Looks for a text in an output. */
import type { Lines } from './lines.ts';

/** More finds than these are not counted. */
const FINDS_MAX = 10_000;

/** The lines that have a text in them, in capital or small letters, oldest first. */
export function findLines(lines: Lines, text: string): number[] {
  const wanted = text.toLowerCase();
  const found: number[] = [];
  if (wanted === '') return found;
  for (let index = 0; index < lines.length && found.length < FINDS_MAX; index++) {
    if (lines.plainAt(index).toLowerCase().includes(wanted)) found.push(index);
  }
  return found;
}
