/** The machines of the server as they are drawn in docs/statecharts: their data, and the pictures that have its ids. */
import commandChart from '../../../docs/statecharts/command.json';
import commandPicture from '../../../docs/statecharts/command.svg?raw';
import supervisorChart from '../../../docs/statecharts/supervisor.json';
import supervisorPicture from '../../../docs/statecharts/supervisor.svg?raw';
import type { Statechart } from '../../../src/statecharts/chart.ts';

export interface DrawnStatechart {
  chart: Statechart;
  /** The text of an SVG document. */
  picture: string;
}

export const commandMachine: DrawnStatechart = { chart: commandChart as Statechart, picture: commandPicture };

export const supervisorMachine: DrawnStatechart = { chart: supervisorChart as Statechart, picture: supervisorPicture };
