/** `kill -9` of the server, up to three times in a row, while it is busy with all that it does. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault } from '../fault.ts';
import { mixedLoad } from '../mixed-load.ts';
import { World } from '../world.ts';

export const serverKill: Fault = {
  name: 'server-kill',
  summary: 'kill -9 of the server under load, stops and deletes under way',
  roundsOf200: 200,
  async round(round) {
    const { random } = round;
    const world = await World.start(round, { env: { SHELLVISOR_MAX_PARALLEL: `${random.int(4, 16)}` } });
    const load = mixedLoad(world, round);
    await delay(random.int(50, 1500));
    const kills = random.int(1, round.quick ? 2 : 3);
    for (let kill = 0; kill < kills; kill++) {
      await world.killServer();
      // The next one may meet the new server in the middle of its recovery.
      await delay(random.int(0, 1200));
    }
    await (await load).judge();
  },
};
