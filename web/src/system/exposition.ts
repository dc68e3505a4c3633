/** What a server tells Prometheus, as far as it is shown here. */

/** The sums over all labels, by the name of the figure. Bounds of histograms are left out: their sums and counts are not. */
export type Figures = ReadonlyMap<string, number>;

/** Reads the text format of Prometheus. */
export function readFigures(text: string): Figures {
  const figures = new Map<string, number>();
  for (const [, name = '', value] of text.matchAll(/^([a-z_]\w*)(?:\{.*\})? (\S+)/gim)) {
    if (!name.endsWith('_bucket')) figures.set(name, (figures.get(name) ?? 0) + Number(value));
  }
  return figures;
}
