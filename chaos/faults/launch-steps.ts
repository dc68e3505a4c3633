/** `kill -9` at each step of a command's life, by failpoints: of the server, and after bash was spawned of the launcher. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { FAILPOINTS, type Failpoint } from '../../src/failpoints.ts';
import { until } from '../../test/helpers/until.ts';
import { cutOffCommands } from '../cut-off.ts';
import type { Fault } from '../fault.ts';
import { Load } from '../load.ts';
import { World } from '../world.ts';

/** In these rounds it is the launcher that is killed. */
const IN_LAUNCHER: readonly Failpoint[] = ['after-spawn'];

export const launchSteps: Fault = {
  name: 'launch-steps',
  summary: `kill -9 at a failpoint, one a round: ${FAILPOINTS.join(', ')}`,
  roundsOf200: 5 * FAILPOINTS.length,
  async round(round) {
    const point = FAILPOINTS[(round.number - 1) % FAILPOINTS.length] as Failpoint;
    const env = {
      SHELLVISOR_FAILPOINT: `${point}:${round.random.int(1, round.quick ? 2 : 4)}`,
      SHELLVISOR_MAX_PARALLEL: '4',
    };
    const world = await World.start(round, { env });
    const server = await world.serverPid();
    const load = new Load(world, round);
    const sending = sendSome(load, round.quick);
    if (!IN_LAUNCHER.includes(point)) world.expectServerExit('SIGKILL');
    await until(`the failpoint ${point} is reached`, () =>
      existsSync(join(world.folder, 'data', `failpoint-${point}`)),
    );
    if (!IN_LAUNCHER.includes(point)) {
      await sending;
      return load.judge();
    }
    await world.launcherGone(server);
    await sending;
    const cutOff = await cutOffCommands(world);
    await world.startLauncher();
    await load.judge({ before: cutOff });
  },
};

async function sendSome(load: Load, quick: boolean): Promise<void> {
  const volumes = ['paced', 'short', 'loud', 'paced', 'short', 'short', 'paced', 'short'] as const;
  await Promise.all(volumes.slice(0, quick ? 4 : undefined).map((volume, i) => load.send(volume, i % 2 === 0)));
}
