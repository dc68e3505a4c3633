/** Scripts that ignore SIGTERM: dead soon after the grace. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { processesOf } from '../../test/helpers/oracle.ts';
import { until } from '../../test/helpers/until.ts';
import type { Fault } from '../fault.ts';
import { OPEN_WAIT, wait } from '../waiting.ts';
import { World } from '../world.ts';

const GRACE_MS = 500;
/** How long after the grace a stop may be answered, which is when nothing lives any more, in ms. */
const AFTER_GRACE_MS = 500;
/** Several times what a script waits between two signs of life, in ms. */
const SILENCE_MS = 200;

export const ignoredTerm: Fault = {
  name: 'ignored-term',
  summary: 'stop of a script that ignores SIGTERM: dead by grace + 500 ms',
  roundsOf200: 20,
  async round(round) {
    const { tally } = round;
    const world = await World.start(round, { env: { SHELLVISOR_STOP_GRACE_MS: `${GRACE_MS}` } });
    const trail = join(world.folder, 'trail');
    const script = `trap '' TERM; ${OPEN_WAIT}; while :; do echo alive >> '${trail}'; ${wait(10)}; done`;
    const { uuid } = (await world.insist('POST', '/api/v1/commands', { script })).body;
    await until('the script runs', () => existsSync(trail));
    const askedAt = performance.now();
    const answer = await world.request('PATCH', `/api/v1/commands/${uuid}`);
    const value = performance.now() - askedAt - GRACE_MS;
    const size = statSync(trail).size;
    tally.measure({ name: 'dead and STOPPED, after the grace', value, unit: 'ms', goal: AFTER_GRACE_MS });
    tally.find(
      'wrong outcomes',
      answer?.status === 200 && value > 0 ? 0 : 1,
      uuid,
      '200 after the grace',
      `${answer?.status} ${value} ms after it`,
    );
    await delay(SILENCE_MS);
    const isSilent = statSync(trail).size === size && processesOf(uuid).length === 0;
    tally.find('survivors', isSilent ? 0 : 1, uuid, 'no sign of life after STOPPED', 'it lives');
  },
};
