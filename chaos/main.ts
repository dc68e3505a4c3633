/** Chaos: faults on purpose, in rounds, and the count of what they broke. `npm run chaos -- --help` says more. */
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startCluster } from '../test/helpers/cluster.ts';
import type { Fault } from './fault.ts';
import { faults } from './faults/all.ts';
import { runFault } from './run.ts';
import { COUNTS, type Figure, type Finding, Tally } from './tally.ts';

const HELP = `npm run chaos -- [--rounds N] [--faults a,b] [--seed TEXT] [--from N] [--quick] [--node]

Breaks shellvisor on purpose and counts what that has cost: servers of its own, with data in
temporary folders. Exits with 1 when any count but the rounds is not 0.

  --rounds N    rounds of the kill of the server (default 4); the other faults get the part of
                that which "of 200" says, at least one. 200 reaches all that we promise
  --faults a,b  only these, N rounds of each
  --seed TEXT   repeats the choices of an earlier run, which has printed its seed
  --from N      the number of the first round, to repeat a later one
  --quick       smaller rounds, of seconds, as in npm test
  --node        the server of each fault is a node of a cluster, but for faults of the embedded PostgreSQL
  --help        this

  ${'fault'.padEnd(24)}of 200  what is done
${faults.map(({ name, roundsOf200, summary }) => `  ${name.padEnd(24)}${`${roundsOf200}`.padStart(6)}  ${summary}`).join('\n')}`;

function readArguments() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '4' },
      faults: { type: 'string' },
      seed: { type: 'string', default: `${Date.now()}` },
      from: { type: 'string', default: '1' },
      quick: { type: 'boolean', default: false },
      node: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const names = values.faults?.split(',');
  const unknown = names?.find((name) => !faults.some((fault) => fault.name === name));
  if (unknown !== undefined) throw new Error(`there is no fault ${unknown}; --help lists them`);
  const wholeNumber = (name: 'rounds' | 'from') => {
    if (!/^[1-9]\d{0,5}$/.test(values[name])) throw new Error(`--${name} must be a whole number from 1`);
    return Number(values[name]);
  };
  return { ...values, rounds: wholeNumber('rounds'), from: wholeNumber('from'), names };
}

type Arguments = ReturnType<typeof readArguments>;

const NAME_WIDTH = 24;
const widths = COUNTS.map((count) => count.length + 2);
const line = (name: string, rounds: number | string, cells: (number | string)[]) =>
  name.padEnd(NAME_WIDTH) +
  `${rounds}`.padStart(6) +
  cells.map((cell, i) => `${cell}`.padStart(widths[i] as number)).join('');
const tallyLine = (name: string, tally: Tally) => line(name, tally.rounds, Object.values(tally.totals()));

const describeFinding = ({ count, amount, where, expected, found }: Finding) =>
  `    ${amount} ${count}: ${where}\n      expected: ${expected}\n      found:    ${found}`;
const describeFigure = ({ name, value, unit, goal }: Figure) =>
  `    ${name}: ${Math.round(value)} ${unit}${goal === undefined ? '' : ` (goal: below ${goal})`}`;

/** A part of 200 rounds, at least one. */
const shareOf = (fault: Fault, rounds: number) => Math.max(1, Math.round((rounds * fault.roundsOf200) / 200));

async function run(args: Arguments, isCutOff: () => boolean): Promise<Tally> {
  const folder = mkdtempSync(join(tmpdir(), 'shellvisor-chaos-cluster-'));
  const cluster = await startCluster(join(folder, 'postgres'));
  const total = new Tally();
  console.log(`seed ${args.seed}\n\n${line('fault', 'rounds', [...COUNTS])}`);
  try {
    for (const fault of faults) {
      if (isCutOff() || args.names?.includes(fault.name) === false) continue;
      const { seed, quick, node: asNode, from } = args;
      const rounds = args.names === undefined ? shareOf(fault, args.rounds) : args.rounds;
      const tally = await runFault(fault, {
        ...{ rounds, seed, quick, asNode, from, isCutOff },
        clusterUrl: cluster.url,
        onRound(of, number) {
          if (process.stderr.isTTY) process.stderr.write(`\r${fault.name} ${number - from + 1}/${rounds}\r`);
          if (of.findings.length === 0) return;
          console.log(
            `  ${fault.name}, round ${number}: --faults ${fault.name} --seed ${seed} --from ${number}${asNode ? ' --node' : ''}`,
          );
          for (const finding of of.findings) console.log(describeFinding(finding));
          for (const folder of of.kept) console.log(`    files kept in ${folder}`);
        },
      });
      console.log(tallyLine(fault.name, tally));
      for (const figure of tally.figures) console.log(describeFigure(figure));
      total.add(tally);
    }
  } finally {
    await cluster.stop();
    await rm(folder, { recursive: true, force: true });
  }
  console.log(`\n${tallyLine('total', total)}`);
  return total;
}

async function main(): Promise<number> {
  let args: Arguments;
  try {
    args = readArguments();
  } catch (error) {
    console.error(`chaos: ${(error as Error).message}`);
    return 2;
  }
  if (args.help) {
    console.log(HELP);
    return 0;
  }
  let cutOff = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      console.error('ending after this round');
      cutOff = true;
    });
  }
  const { findings } = await run(args, () => cutOff);
  return findings.length > 0 || cutOff ? 1 : 0;
}

process.exitCode = await main();
