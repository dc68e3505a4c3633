import t from 'tap';
import { createDatabase } from '../helpers/cluster.ts';
import { lateCommits } from '../helpers/network.ts';
import { nodesOn, run, untilStatus } from '../helpers/nodes.ts';
import type { TestServer } from '../helpers/server.ts';

t.test('a stop that the database does not confirm is answered so, and takes place all the same', async (t) => {
  const databaseUrl = await createDatabase(t);
  const network = await lateCommits(t, databaseUrl);
  const env = { DATABASE_URL: network.url, SHELLVISOR_MAX_PARALLEL: '1' };
  const { nodes } = await nodesOn(t, databaseUrl, [env]);
  const [node] = nodes as [TestServer];
  const busy = await run(node, { script: 'sleep 600' });
  await untilStatus(node, busy, 'EXECUTING');
  const waits = await run(node, { script: 'true' });
  const lost = network.hold('stopped_by = f.stopped_by', 300);
  const stopped = node.request('PATCH', `/api/v1/commands/${waits}`);
  await lost;
  t.match(await stopped, {
    status: 503,
    body: { code: 'STORAGE_UNAVAILABLE', error: /^the command is being stopped/ },
  });
  t.match(await untilStatus(node, waits, 'STOPPED'), { reason: 'stop' });
  t.match(await node.request('PATCH', `/api/v1/commands/${busy}`), { status: 200 });
});
