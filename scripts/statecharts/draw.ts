import { instance } from '@viz-js/viz';
import type { Statechart } from '../../src/statecharts/chart.ts';
import { FONT, graphOf } from './graph.ts';

/** What it is shown in. Which font that is depends on the machine; none of the usual ones is wider than that of the layout. */
const FONTS = "Helvetica, Arial, 'Liberation Sans', sans-serif";

/** Draws a machine as an SVG picture; the same machine gives the same text. */
export async function drawStatechart(chart: Statechart): Promise<string> {
  const viz = await instance();
  const svg = viz.renderString(graphOf(chart), { format: 'svg' });
  // What stands before names the version of Graphviz and a DTD, which a page does not need.
  return svg.slice(svg.indexOf('<svg')).replaceAll(`"${FONT}"`, `"${FONTS}"`);
}
