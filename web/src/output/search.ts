/** Looks for a text in an output. */
import type { Lines } from './lines.ts';

/** More finds than these are not counted. */
const FINDS_MAX = 10_000;

/** How long the page is kept from everything else at a time, in ms, and after how many lines that is looked at. */
const SLICE_MS = 20;
const SLICE_LINES = 1000;

/**
 * The lines that have a text in them, in capital or small letters, oldest first.
 * @returns undefined when it was aborted.
 */
export async function findLines(lines: Lines, text: string, signal?: AbortSignal): Promise<number[] | undefined> {
  const wanted = text.toLowerCase();
  const found: number[] = [];
  if (wanted === '') return found;
  let begunAt = performance.now();
  for (let index = 0; index < lines.length && found.length < FINDS_MAX; index++) {
    if (index % SLICE_LINES === 0 && performance.now() - begunAt > SLICE_MS) {
      await new Promise((resolve) => setTimeout(resolve));
      if (signal?.aborted) return undefined;
      begunAt = performance.now();
    }
    if (lines.plainAt(index).toLowerCase().includes(wanted)) found.push(index);
  }
  return found;
}
