/** What rounds of a fault have brought to light. */

/** The counts that must be 0, in the order of the table. */
export const COUNTS = [
  'bytes lost',
  'bytes doubled',
  'wrong outcomes',
  'double runs',
  'survivors',
  'server exits',
] as const;
export type Count = (typeof COUNTS)[number];

/** Something that must not be. */
export interface Finding {
  count: Count;
  /** How many bytes, outcomes, runs, processes or exits. */
  amount: number;
  /** Which command, or which part of the fault. */
  where: string;
  expected: string;
  found: string;
}

/** A measured value beside the counts. */
export interface Figure {
  name: string;
  value: number;
  unit: string;
  /** What it should stay below. */
  goal?: number;
}

export class Tally {
  rounds = 0;
  readonly findings: Finding[] = [];
  readonly figures: Figure[] = [];
  /** Folders with the files of rounds in which something was found. */
  readonly kept: string[] = [];

  /** Takes note of what must not be; nothing if the amount is 0. */
  find(count: Count, amount: number, where: string, expected: string, found: string): void {
    if (amount > 0) this.findings.push({ count, amount, where, expected, found });
  }

  /** Keeps the worst value of a name. */
  measure(figure: Figure): void {
    const known = this.figures.find(({ name }) => name === figure.name);
    if (known === undefined) this.figures.push({ ...figure });
    else known.value = Math.max(known.value, figure.value);
  }

  total(count: Count): number {
    return this.findings.filter((finding) => finding.count === count).reduce((sum, { amount }) => sum + amount, 0);
  }

  /** All counts by name. */
  totals(): Record<Count, number> {
    return Object.fromEntries(COUNTS.map((count) => [count, this.total(count)])) as Record<Count, number>;
  }

  /** Adds what another tally has. */
  add(other: Tally): void {
    this.rounds += other.rounds;
    this.findings.push(...other.findings);
    this.kept.push(...other.kept);
  }
}
