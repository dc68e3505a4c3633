/** Draws the machines into docs/statecharts: `npm run statecharts`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { commandMachine } from '../src/actors/command.ts';
import { supervisorMachine } from '../src/actors/supervisor.ts';
import { drawStatechart } from './statecharts/draw.ts';

const folder = new URL('../docs/statecharts/', import.meta.url);

/** Each machine and the file of its picture. */
export const STATECHARTS = [commandMachine, supervisorMachine].map((machine) => ({
  machine,
  file: fileURLToPath(new URL(`${machine.id}.svg`, folder)),
}));

if (import.meta.main) {
  mkdirSync(folder, { recursive: true });
  for (const { machine, file } of STATECHARTS) writeFileSync(file, await drawStatechart(machine));
}
