/** SIGHUP to the launcher: the server is replaced under load, as for an upgrade. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault } from '../fault.ts';
import { mixedLoad } from '../mixed-load.ts';
import { World } from '../world.ts';

export const upgrade: Fault = {
  name: 'upgrade',
  summary: 'SIGHUP under load, up to three times in a row',
  roundsOf200: 50,
  async round(round) {
    const { random } = round;
    const world = await World.start(round, { env: { SHELLVISOR_MAX_PARALLEL: `${random.int(4, 16)}` } });
    const load = mixedLoad(world, round);
    const upgrades = random.int(1, round.quick ? 2 : 3);
    for (let i = 0; i < upgrades; i++) {
      await delay(random.int(100, 1200));
      await world.upgrade();
    }
    await (await load).judge();
  },
};
