/** A small chart of one figure: its line, its name, what it is now and what it was at most. */
import { words } from '../i18n/language.ts';

export interface ChartProps {
  name: string;
  /** Oldest first; NaN: not known. */
  values: readonly number[];
  /** How many values there is room for. */
  room: number;
  /** What it can be at most, where that is known. */
  limit?: number | undefined;
  /** A value, for a person. */
  format: (value: number) => string;
}

const HEIGHT = 40;

export function Chart({ name, values, room, limit, format }: ChartProps) {
  const { system } = words.value;
  const now = values.at(-1) ?? Number.NaN;
  const peak = values.reduce((most, value) => (value > most ? value : most), 0);
  const shown = Number.isNaN(now) ? '–' : format(now);
  const text = limit === undefined ? shown : system.of(shown, format(limit));
  return (
    <figure class="chart">
      <figcaption>
        <span>{name}</span>
        <strong>{text}</strong>
      </figcaption>
      <svg viewBox={`0 0 ${room - 1} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        <path d={lineOf(values, room, peak)} vector-effect="non-scaling-stroke" />
      </svg>
      <span class="muted">{system.peak(format(peak))}</span>
    </figure>
  );
}

/** The newest value is at the right; where one is not known the line is broken. */
function lineOf(values: readonly number[], room: number, peak: number): string {
  let isBroken = true;
  return values
    .map((value, index) => {
      if (Number.isNaN(value)) {
        isBroken = true;
        return '';
      }
      const begins = isBroken;
      isBroken = false;
      const y = peak === 0 ? HEIGHT - 1 : HEIGHT - 1 - (value / peak) * (HEIGHT - 2);
      return `${begins ? 'M' : 'L'}${room - values.length + index} ${y.toFixed(1)}`;
    })
    .join('');
}
