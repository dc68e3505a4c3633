/** Small pictures in the colour of the text; what they mean stands beside them, so they are hidden from screen readers. */

const PATHS = {
  queued: 'M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 0 0 0-11M8 5v3.2l2 1.3',
  executing: 'M5.5 3.5v9l7-4.5z',
  executed: 'M3 8.5l3.2 3.2L13 5',
  failed: 'M4 4l8 8M12 4l-8 8',
  stopped: 'M4 4h8v8H4z',
  close: 'M4 4l8 8M12 4l-8 8',
  search: 'M7 2.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 0 0 0-9M10.5 10.5l3 3',
  theme: 'M8 2.5a5.5 5.5 0 1 0 5.5 5.5a4.2 4.2 0 0 1-5.5-5.5z',
  keys: 'M2 4.5h12v7H2zM4.5 7h.1M7 7h.1M9.5 7h.1M12 7h.1M5 9.5h6',
  up: 'M8 13V3M4 7l4-4l4 4',
  out: 'M6.5 2.5h-4v11h4M6 8h8M11 5l3 3l-3 3',
  pin: 'M8 10v4M4.5 10h7l-1.5-3v-4.5h-4v4.5z',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
