/**
 * The oracle of all tests of faults: a script prints numbered lines, and writes the same into a side file that nothing
 * but itself can lose; afterwards what is stored must be what the side file has, byte by byte.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Test } from 'tap';

/** A script that prints so many numbered lines, the same into a side file, a marker for each run, and exits with 7. */
export function oracleScript(side: string, lines: number): string {
  return `
  echo ran >> ${side}.runs
  for ((i = 1; i <= ${lines}; i++)); do
    echo "line $i of ${side}"; echo "line $i of ${side}" >> ${side}
    if ((i % 10 == 0)); then sleep 0.01; fi
  done
  exit 7`;
}

/** What the oracle looks at of a command that has ended. */
export interface OracleCommand {
  status: string;
  exit_code: number | null;
  reason: string | null;
  output: string;
}

const sha = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');

/** What is stored is what the side file has, it ran once, and its outcome is right. */
export function checkOracle(t: Test, { status, exit_code, reason, output }: OracleCommand, side: string): void {
  t.same({ status, exit_code, reason }, { status: 'FAILED', exit_code: 7, reason: 'exit' }, side);
  t.equal(sha(output), sha(readFileSync(side)), `${side}: no byte lost or doubled`);
  t.equal(readFileSync(`${side}.runs`, 'utf8'), 'ran\n', `${side}: run once`);
}
