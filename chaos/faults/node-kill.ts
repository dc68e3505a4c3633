/** `kill -9` of nodes under load: what they ran is lost or runs again, what waited runs elsewhere, and nothing runs twice. */
import { setTimeout as delay } from 'node:timers/promises';
import { killNode } from '../../test/helpers/nodes.ts';
import { cutOffCommands } from '../cut-off.ts';
import type { Fault, Round } from '../fault.ts';
import { Load } from '../load.ts';
import { sendMixed } from '../mixed-load.ts';
import { type ChaosNode, Nodes } from '../nodes.ts';

/** How long it may take until all that a node had is decided, in ms. */
const DECIDED_MS = 30_000;

export const nodeKill: Fault = {
  name: 'node-kill',
  summary: 'kill -9 of one of three nodes under load; every fifth time of its launcher alone, or of all three',
  roundsOf200: 50,
  async round(round) {
    const { random, quick, tally } = round;
    const nodes = await Nodes.start(round, 3, { SHELLVISOR_MAX_PARALLEL: `${random.int(2, 6)}` });
    const load = new Load(nodes, round);
    const sending = sendMixed(load, round, true);
    await delay(random.int(500, quick ? 1500 : 3000));
    const killed = chooseFrom(nodes, round);
    const names = killed.map(({ name }) => name);
    const owners = await nodes.ownersOf(names);
    const before = await cutOffCommands(nodes);
    const pauseMs = random.int(0, 1500);
    const killedAt = performance.now();
    for (const node of killed) nodes.forget(node);
    await Promise.all(killed.map((node) => kill(node, round)));
    await delay(pauseMs);
    await nodes.add();
    await nodes.decided(owners);
    const value = performance.now() - killedAt;
    tally.measure({ name: 'all that it had is decided', value, unit: 'ms', goal: DECIDED_MS });
    tally.find('wrong outcomes', value < DECIDED_MS ? 0 : 1, 'the round', 'it is decided in time', `after ${value} ms`);
    await sending;
    const gone = new Set(names);
    await load.judge({ before, nodes: gone });
    await nodes.judge(gone);
  },
};

const isAll = ({ number }: Round) => number % 10 === 0;
const isLauncher = ({ number }: Round) => number % 10 === 5;

function chooseFrom(nodes: Nodes, round: Round): ChaosNode[] {
  const one = round.random.pick(nodes.living);
  return isAll(round) ? [...nodes.living] : [one];
}

async function kill({ server }: ChaosNode, round: Round): Promise<void> {
  if (!isLauncher(round)) return killNode(server);
  process.kill(server.child.pid as number, 'SIGKILL');
  await server.exited;
}
