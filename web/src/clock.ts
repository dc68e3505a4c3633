/** What time it is, for what ticks: only who reads it is drawn again. */
import { signal } from '@preact/signals';

const TICK_MS = 1000;

export const now = signal(Date.now());

setInterval(() => {
  now.value = Date.now();
}, TICK_MS);
