/** The statecharts that are kept beside the documentation, which shows them too: in a checkout, a package and an image. */
import { readFileSync } from 'node:fs';
import type { Statechart } from './chart.ts';

/** Where they are. */
export const STATECHARTS_FOLDER = new URL('../../docs/statecharts/', import.meta.url);

/** A machine, and its picture as the text of an SVG document. */
export interface DrawnStatechart {
  chart: Statechart;
  picture: string;
}

/** Reads the statechart of a machine of ours. */
export function readStatechart(name: 'command' | 'supervisor'): DrawnStatechart {
  const read = (file: string) => readFileSync(new URL(file, STATECHARTS_FOLDER), 'utf8');
  return { chart: JSON.parse(read(`${name}.json`)), picture: read(`${name}.svg`) };
}
