/** Writes the machines into docs/statecharts, as pictures and as data: `npm run statecharts`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { commandMachine } from '../src/actors/command.ts';
import { supervisorMachine } from '../src/actors/supervisor.ts';
import { STATECHARTS_FOLDER } from '../src/statecharts/read.ts';
import { describeMachine } from './statecharts/describe.ts';
import { drawStatechart } from './statecharts/draw.ts';

const fileOf = (name: string) => fileURLToPath(new URL(name, STATECHARTS_FOLDER));

/** Each machine and the files of its picture and its data. */
export const STATECHARTS = [commandMachine, supervisorMachine].map((machine) => ({
  machine,
  file: fileOf(`${machine.id}.svg`),
  dataFile: fileOf(`${machine.id}.json`),
}));

if (import.meta.main) {
  mkdirSync(STATECHARTS_FOLDER, { recursive: true });
  for (const { machine, file, dataFile } of STATECHARTS) {
    const chart = describeMachine(machine);
    writeFileSync(file, await drawStatechart(chart));
    writeFileSync(dataFile, `${JSON.stringify(chart, null, 2)}\n`);
  }
}
