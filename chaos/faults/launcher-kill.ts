/** `kill -9` of the launcher: its commands are lost with all that was stored, and nothing of them lives. */
import { setTimeout as delay } from 'node:timers/promises';
import { processesOf } from '../../test/helpers/oracle.ts';
import { cutOffCommands } from '../cut-off.ts';
import type { Fault } from '../fault.ts';
import { Load } from '../load.ts';
import { World } from '../world.ts';

export const launcherKill: Fault = {
  name: 'launcher-kill',
  summary: 'kill -9 of the launcher: running commands are lost, what was stored stays',
  roundsOf200: 20,
  async round(round) {
    const { random, tally } = round;
    const world = await World.start(round, { env: { SHELLVISOR_MAX_PARALLEL: '8' } });
    const server = await world.serverPid();
    const load = new Load(world, round);
    // Far longer than the round: what executes at the kill can't have ended by itself. The last ones wait for a slot.
    const long = { lines: 100_000, prelude: '(setsid sleep 600 > /dev/null 2>&1 &)' };
    for (let i = 0; i < 8; i++) await load.send('paced', i % 2 === 0, long);
    for (let i = 0; i < 4; i++) await load.send('short', i % 2 === 0);
    await delay(random.int(100, 1500));
    const before = await cutOffCommands(world);
    process.kill(world.launcher.child.pid as number, 'SIGKILL');
    await world.launcherGone(server);
    for (const uuid of before.keys()) {
      const left = processesOf(uuid);
      tally.find('survivors', left.length, uuid, 'no process once the server has ended', left.join(', '));
    }
    await world.startLauncher();
    await load.judge({ before });
    tally.find('wrong outcomes', before.size === 8 ? 0 : 1, 'the round', 'all 8 execute', `${before.size} did`);
  },
};
