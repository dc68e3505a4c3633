import { Client } from 'pg';
import t from 'tap';
import { createDatabase } from '../helpers/cluster.ts';
import { lateCommits } from '../helpers/network.ts';
import { nodesOn, run, startNodes, untilStatus } from '../helpers/nodes.ts';
import type { TestServer } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

/** What a node sends when it has found commands to take. */
const TAKES = 'WITH taken AS';

t.test('a command whose node does not hear that it has taken it runs all the same', async (t) => {
  const databaseUrl = await createDatabase(t);
  const network = await lateCommits(t, databaseUrl);
  const { nodes } = await nodesOn(t, databaseUrl, [{ DATABASE_URL: network.url }]);
  const [node] = nodes as [TestServer];
  // Longer than it takes until the node looks again.
  const held = network.hold(TAKES, 3000);
  const uuid = await run(node, { script: 'echo once' });
  await held;
  t.match(await untilStatus(node, uuid, 'EXECUTED', 20_000), { output: 'once\n' });
});

t.test(
  'commands that were stopped while they waited leave nothing in the queue, and keep no others waiting',
  async (t) => {
    const { nodes, databaseUrl } = await startNodes(t, { SHELLVISOR_MAX_PARALLEL: '1' });
    const [node] = nodes as [TestServer];
    const db = new Client(databaseUrl);
    await db.connect();
    t.teardown(() => db.end());
    const jobs = async () => (await db.query('SELECT FROM shellvisor_queue.job')).rows.length;
    const busy = await run(node, { script: 'sleep 600' });
    await untilStatus(node, busy, 'EXECUTING');
    const waiting = await Promise.all(Array.from({ length: 20 }, () => run(node, { script: 'true' })));
    for (const uuid of waiting) t.match(await node.request('PATCH', `/api/v1/commands/${uuid}`), { status: 200 });
    t.equal(await jobs(), 0);

    // Jobs without a command, as a withdrawal leaves them.
    await Promise.all(Array.from({ length: 20 }, () => run(node, { script: 'true' })));
    await db.query(`DELETE FROM commands WHERE status = 'QUEUED'`);
    t.equal(await jobs(), 20);
    const last = await run(node, { script: 'echo last' });
    t.match(await node.request('PATCH', `/api/v1/commands/${busy}`), { status: 200 });
    // With one job a second it would take twenty.
    await untilStatus(node, last, 'EXECUTED', 10_000);
    await until('the queue is empty', async () => (await jobs()) === 0);
  },
);
