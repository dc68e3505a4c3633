/** Some of everything: short, paced and loud scripts, regular and durable, a part of them stopped or deleted. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Round } from './fault.ts';
import { Load, type Volume } from './load.ts';
import type { World } from './world.ts';

const PLAN: readonly Volume[] = ['paced', 'loud', 'paced', 'short', 'short', 'paced', 'loud', 'short'];

/** Sends for about two seconds; resolves when all requests have been answered or broken off. */
export async function mixedLoad(world: World, round: Round): Promise<Load> {
  const { random } = round;
  const load = new Load(world, round);
  const count = round.quick ? 10 : 24;
  const clients = Array.from({ length: count }, async (_, i) => {
    // All that is left to chance is drawn here, in an order that does not depend on who is answered first.
    const [startMs, askMs, fate] = [random.int(0, 2000), random.int(0, 1500), random.int(1, 10)];
    await delay(startMs);
    const sent = await load.send(PLAN[i % PLAN.length] as Volume, i % 2 === 1);
    await delay(askMs);
    if (fate <= 2) await load.ask(sent, 'stop');
    if (fate === 3) await load.ask(sent, 'delete');
  });
  await Promise.all(clients);
  return load;
}
