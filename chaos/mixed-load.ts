/** Some of everything: short, paced and loud scripts, regular and durable, a part of them stopped or deleted. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Round } from './fault.ts';
import type { Ground } from './ground.ts';
import { Load, type Volume } from './load.ts';

const PLAN: readonly Volume[] = ['paced', 'loud', 'paced', 'short', 'short', 'paced', 'loud', 'short'];

/** Of an odd length, so that each kind comes regular and durable, and to be run again or not. */
const LONG_PLAN: readonly Volume[] = ['long', 'short', 'paced', 'long', 'loud', 'long', 'short'];

/** Sends for about two seconds; resolves when all requests have been answered or broken off. */
export async function mixedLoad(world: Ground, round: Round): Promise<Load> {
  const load = new Load(world, round);
  await sendMixed(load, round);
  return load;
}

/** @param rerun whether a part is to run again when its node is lost; then some run for long. */
export async function sendMixed(load: Load, round: Round, rerun = false): Promise<void> {
  const { random } = round;
  const count = round.quick ? 10 : 24;
  const clients = Array.from({ length: count }, async (_, i) => {
    // All that is left to chance is drawn here, in an order that does not depend on who is answered first.
    const [startMs, askMs, fate] = [random.int(0, 2000), random.int(0, 1500), random.int(1, 10)];
    await delay(startMs);
    const plan = rerun ? LONG_PLAN : PLAN;
    const sent = await load.send(plan[i % plan.length] as Volume, i % 2 === 1, {}, rerun && i % 4 < 2);
    await delay(askMs);
    if (fate <= 2) await load.ask(sent, 'stop');
    if (fate === 3) await load.ask(sent, 'delete');
  });
  await Promise.all(clients);
}
