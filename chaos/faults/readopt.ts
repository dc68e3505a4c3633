/** Five hundred live scripts when the server is killed: how soon the next one follows them all again. */

import { until } from '../../test/helpers/until.ts';
import type { Fault } from '../fault.ts';
import { inTurn } from '../in-turn.ts';
import { Load } from '../load.ts';
import { World } from '../world.ts';

/** How soon all are followed again, in ms. */
const ATTACHED_MS = 5000;

export const readopt: Fault = {
  name: 'readopt',
  summary: 'kill -9 of the server over 500 live scripts, until each of them is stored on',
  roundsOf200: 1,
  async round(round) {
    const { tally, quick } = round;
    const count = quick ? 40 : 500;
    const world = await World.start(round, { env: { SHELLVISOR_MAX_PARALLEL: `${count}` } });
    const load = new Load(world, round);
    // A line a second each, durable, so that the database shows when a script is followed.
    const spec = { lines: quick ? 10 : 30, pauseEvery: 1, pauseMs: 1000, filler: 10 };
    await inTurn(8, count, async () => {
      await load.send('paced', true, spec);
    });
    const stored = async () => {
      const { rows } = await world.query(
        `SELECT command_id::text AS id, max(byte_offset)::int AS last FROM command_output GROUP BY command_id`,
      );
      return new Map<string, number>(rows.map(({ id, last }) => [id, last]));
    };
    await until('all have printed', async () => (await stored()).size === count, 60_000);
    const killedAt = performance.now();
    await world.killServer();
    const before = await stored();
    const advanced = async () => {
      const now = await stored();
      return [...before].every(([id, last]) => (now.get(id) ?? 0) > last);
    };
    await until('all are followed again', advanced, 60_000);
    const value = performance.now() - killedAt;
    tally.measure({ name: `${count} scripts followed again`, value, unit: 'ms', goal: ATTACHED_MS });
    await load.judge();
  },
};
