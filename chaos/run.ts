/** Runs the rounds of one fault. */
import type { Scope } from '../test/helpers/scope.ts';
import type { Fault } from './fault.ts';
import { Random } from './random.ts';
import { Tally } from './tally.ts';

export interface RunOptions {
  rounds: number;
  quick: boolean;
  /** Whether servers on their own are nodes of a cluster. */
  asNode?: boolean;
  /** Decides all that is left to chance, together with the fault's name and the round's number. */
  seed: string;
  /** The first round's number, to repeat a later one. */
  from?: number;
  clusterUrl: string;
  /** Told after each round. */
  onRound?: (tally: Tally, round: number) => void;
  /** Whether to begin no further round. */
  isCutOff?: () => boolean;
}

/** Clean-up that is done when the round is over, the last one first; one that fails does not keep the others waiting. */
class RoundScope implements Scope {
  readonly #cleanUps: (() => unknown)[] = [];

  teardown(cleanUp: () => unknown): void {
    this.#cleanUps.push(cleanUp);
  }

  async close(onError: (error: unknown) => void): Promise<void> {
    for (const cleanUp of this.#cleanUps.splice(0).reverse()) {
      try {
        await cleanUp();
      } catch (error) {
        onError(error);
      }
    }
  }
}

export async function runFault(fault: Fault, options: RunOptions): Promise<Tally> {
  const { rounds, quick, asNode = false, seed, from = 1, clusterUrl } = options;
  const all = new Tally();
  for (let number = from; number < from + rounds && !options.isCutOff?.(); number++) {
    const tally = new Tally();
    const scope = new RoundScope();
    const random = new Random(`${seed} ${fault.name} ${number}`);
    // What breaks a round off is told as a finding: it must not pass for a good round.
    const brokenOff = (error: unknown) =>
      tally.find('wrong outcomes', 1, 'the round', 'it goes to its end', `${(error as Error).stack}`);
    await fault.round({ number, quick, asNode, random, tally, scope, clusterUrl }).catch(brokenOff);
    await scope.close(brokenOff);
    tally.rounds = 1;
    all.add(tally);
    for (const figure of tally.figures) all.measure(figure);
    options.onRound?.(tally, number);
  }
  return all;
}
