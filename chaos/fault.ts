/** What each fault gives and gets. */
import type { Scope } from '../test/helpers/scope.ts';
import type { Random } from './random.ts';
import type { Tally } from './tally.ts';

/** One round of a fault. */
export interface Round {
  /** Counted from 1. */
  number: number;
  /** Whether it shall take seconds, as in `npm test`. */
  quick: boolean;
  /** Whether a server on its own is to be a node of a cluster, which takes, stops and loses commands in ways of its own. */
  asNode: boolean;
  random: Random;
  tally: Tally;
  /** Cleaned up after the round. */
  scope: Scope;
  /** The PostgreSQL for faults that leave PostgreSQL alone, with a migrated template database. */
  clusterUrl: string;
}

export interface Fault {
  name: string;
  /** What is done, in a line. */
  summary: string;
  /** How many of its rounds belong to 200 rounds: some do a thousand things in one. */
  roundsOf200: number;
  round(round: Round): Promise<void>;
}
