/** Short versions of what `npm run chaos` does in long ones. */
import { readFileSync } from 'node:fs';
import type { Test } from 'tap';
import type { Fault } from '../../chaos/fault.ts';
import { runFault } from '../../chaos/run.ts';
import { COUNTS } from '../../chaos/tally.ts';
import { URL_FILE } from './cluster.ts';

/** Runs a round of a fault, counted from 1; nothing may be found. */
export async function survive(t: Test, fault: Fault, from = 1): Promise<void> {
  const seed = `${Date.now()}`;
  const clusterUrl = readFileSync(URL_FILE, 'utf8');
  const tally = await runFault(fault, { rounds: 1, from, quick: true, seed, clusterUrl });
  for (const { name, value, unit } of tally.figures) t.comment(`${name}: ${Math.round(value)} ${unit}`);
  t.same(tally.findings, [], `${fault.name} with seed ${seed}`);
  const nothing = Object.fromEntries(COUNTS.map((count) => [count, 0]));
  t.same({ rounds: tally.rounds, ...tally.totals() }, { rounds: 1, ...nothing });
}
