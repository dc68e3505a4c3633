/** What a benchmark is: something that starts what it needs, measures, and prints its figures. */
export interface Run {
  /** Smaller sizes and a single round: for a first look, and to see that the benchmarks themselves work. */
  quick: boolean;
  /** Folder for CPU profiles of the server; undefined: none are taken. */
  profileDir: string | undefined;
  /** All that a benchmark starts or makes is registered here at once, so that it goes away however the run ends. */
  cleanup: AsyncDisposableStack;
}

export type Benchmark = (run: Run) => Promise<void>;

/**
 * Calls `measure` once a round. What is compared is measured in turns, so that whatever else the machine does hits
 * both sides alike.
 */
export async function inRounds(run: Run, measure: () => Promise<void>): Promise<void> {
  const rounds = run.quick ? 1 : 3;
  for (let round = 0; round < rounds; round++) await measure();
}
