/** A node that is cut off from the database for long, and comes back: what was decided meanwhile stays, and it begins anew. */
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../test/helpers/until.ts';
import { cutOffCommands } from '../cut-off.ts';
import type { Fault } from '../fault.ts';
import { Load } from '../load.ts';
import { sendMixed } from '../mixed-load.ts';
import { Nodes } from '../nodes.ts';

/** How long it is cut off, in ms: in a quick round just until it is given up. */
const CUT_MS = 60_000;
/** How long it may take to begin anew, in ms. */
const BACK_MS = 60_000;

export const nodeCut: Fault = {
  name: 'node-cut',
  summary: 'one of three nodes is cut off from the database for a minute, under load',
  roundsOf200: 3,
  async round(round) {
    const { random, quick } = round;
    const nodes = await Nodes.start(round, 3, { SHELLVISOR_MAX_PARALLEL: `${random.int(2, 6)}` });
    const load = new Load(nodes, round);
    const sending = sendMixed(load, round, true);
    await delay(random.int(500, quick ? 1500 : 3000));
    const cut = random.pick(nodes.living);
    const owners = await nodes.ownersOf([cut.name]);
    const before = await cutOffCommands(nodes);
    const cutAt = performance.now();
    nodes.forget(cut);
    cut.network.break();
    await nodes.decided(owners);
    if (!quick) await delay(Math.max(0, CUT_MS - (performance.now() - cutAt)));
    cut.network.mend();
    const anew = `SELECT FROM nodes WHERE name = $1 AND fenced_at IS NULL`;
    const isBack = async () => (await nodes.query(anew, [cut.name])).rows.length > 0 || delay(50).then(() => false);
    await until('it has begun anew', isBack, BACK_MS);
    nodes.remember(cut);
    await sending;
    await load.judge({ before, nodes: new Set([cut.name]) });
    await nodes.judge(new Set([cut.name]));
  },
};
