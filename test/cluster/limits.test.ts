import { readdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { run, startNodes, untilStatus } from '../helpers/nodes.ts';
import { type TestServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const limits = { SHELLVISOR_MAX_QUEUED: '0', SHELLVISOR_MAX_PARALLEL: '4' };

t.test('a node with a queue of no length takes one command after the other, whichever node runs them', async (t) => {
  const { nodes } = await startNodes(t, limits, { ...limits, SHELLVISOR_NODE_LABELS: 'other' });
  const [first, second] = nodes as [TestServer, TestServer];
  const statuses: number[] = [];
  for (let n = 0; n < 40; n++) {
    const body = { script: 'true', node: { label: 'other' } };
    const { status, body: created } = await first.request('POST', '/api/v1/commands', body);
    statuses.push(status);
    if (status === 201) await untilStatus(first, created.uuid, 'EXECUTED');
  }
  t.same(statuses, Array(40).fill(201));

  const busy = Array.from({ length: 8 }, () => ({ script: 'sleep 600', node: { label: 'other' } }));
  const uuids: string[] = [];
  for (const body of busy) {
    const uuid = await run(first, body);
    uuids.push(uuid);
    if (uuids.length <= 4) await untilStatus(first, uuid, 'EXECUTING');
  }
  t.match(
    await first.request('POST', '/api/v1/commands', { script: 'true' }),
    {
      status: 429,
      body: { code: 'QUEUE_FULL' },
    },
    'four of them wait, for whom the four free slots here are counted',
  );
  for (const uuid of uuids) t.match(await second.request('PATCH', `/api/v1/commands/${uuid}`), { status: 200 });
  await untilStatus(first, await run(first, { script: 'true' }), 'EXECUTED');
});

t.test('all nodes together run no more at once than they may', async (t) => {
  const env = { SHELLVISOR_CLUSTER_MAX_PARALLEL: '3', SHELLVISOR_MAX_PARALLEL: '4' };
  const { nodes } = await startNodes(t, env, env);
  const [folder, gate] = [temporaryFolder(t), `${temporaryFolder(t)}/open`];
  // Each counts those that run with it: before the gate opens, and as one follows the other.
  const script =
    'touch "$1/$$"; ls "$1" | wc -l; while [ ! -e "$2" ]; do sleep 0.05; done; ls "$1" | wc -l; rm "$1/$$"';
  const uuids: string[] = [];
  for (let n = 0; n < 12; n++) uuids.push(await run(nodes[n % 2] as TestServer, { script, args: [folder, gate] }));
  await until('as many run as may', () => readdirSync(folder).length >= 3);
  writeFileSync(gate, '');
  const counts: number[] = [];
  for (const uuid of uuids) {
    const { output } = await untilStatus(nodes[0] as TestServer, uuid, 'EXECUTED');
    counts.push(...output.trim().split('\n').map(Number));
  }
  t.equal(counts.length, 24);
  t.equal(Math.max(...counts), 3);
});
