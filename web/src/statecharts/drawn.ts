/** The machines of the server as they are drawn in docs/statecharts: their data, and the pictures that have its ids. */
import commandChart from '../../../docs/statecharts/command.json';
import commandPicture from '../../../docs/statecharts/command.svg?raw';
import type { Statechart } from '../../../src/statecharts/chart.ts';

export interface DrawnStatechart {
  chart: Statechart;
  /** The text of an SVG document. */
  picture: string;
}

export const commandMachine: DrawnStatechart = { chart: commandChart as Statechart, picture: commandPicture };
