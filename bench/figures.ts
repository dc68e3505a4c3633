/** Prints one figure a line, beside the machine's bare limit where there is one. */

/** The same thing measured without us, in the same rounds. */
export interface Bare {
  name: string;
  values: number[];
}

/** Prints the median of what was measured, and which share of the bare limit that is: median, and least to most. */
export function figure(name: string, values: number[], unit: string, bare?: Bare): void {
  let line = `${name.padEnd(58)} ${format(median(values)).padStart(9)} ${unit.padEnd(5)}`;
  if (bare !== undefined) {
    const shares = values.map((value, round) => (100 * value) / (bare.values[round] as number));
    const range = shares.length > 1 ? ` (${format(Math.min(...shares))}–${format(Math.max(...shares))})` : '';
    line += ` = ${format(median(shares))} %${range} of ${bare.name}: ${format(median(bare.values))} ${unit}`;
  }
  console.log(line.trimEnd());
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] as number) + (sorted[Math.ceil(middle)] as number)) / 2;
}

/** Three digits tell enough; more would be noise. */
function format(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString('en', { maximumFractionDigits: 3 });
}
