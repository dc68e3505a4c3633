/** What the screen is like. */
import { type ReadonlySignal, signal } from '@preact/signals';

/** Whether there is room for columns; the styles have the same bound. */
export const isNarrow = matching('(max-width: 760px)');

function matching(query: string): ReadonlySignal<boolean> {
  const media = matchMedia(query);
  const matches = signal(media.matches);
  media.addEventListener('change', () => {
    matches.value = media.matches;
  });
  return matches;
}
