import { writeFileSync } from 'node:fs';
import t from 'tap';
import { createDatabase } from '../helpers/cluster.ts';
import { breakableNetwork } from '../helpers/network.ts';
import { nodesOn, run, untilOutput, untilStatus } from '../helpers/nodes.ts';
import { processesWith, uniqueSeconds } from '../helpers/processes.ts';
import { freePort, type TestServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const lost = { SHELLVISOR_NODE_LOST_MS: '5000' };

t.test('a node whose connections a network has dropped lives on, and is heard of again within seconds', async (t) => {
  const databaseUrl = await createDatabase(t);
  const network = await breakableNetwork(t, databaseUrl);
  const { nodes } = await nodesOn(t, databaseUrl, [{ DATABASE_URL: network.url, SHELLVISOR_NODE_LABELS: 'far' }, {}]);
  const [, near] = nodes as [TestServer, TestServer];
  const folder = temporaryFolder(t);
  const script = 'echo begun; until [ -e "$1/end" ]; do sleep 0.1; done; echo end';
  const uuid = await run(near, { script, args: [folder], node: { label: 'far' } }, true);
  await untilOutput(near, uuid, /begun/);
  const far = async () => (await near.request('GET', '/manage/nodes')).body[0];
  const before = await far();
  // New ones come through at once.
  network.break();
  network.mend();
  await until('it is heard of', async () => (await far()).last_heartbeat_at > before.last_heartbeat_at + 3000, 15_000);
  t.match(await far(), { id: before.id, state: 'up' });
  writeFileSync(`${folder}/end`, '');
  t.match(await untilStatus(near, uuid, 'EXECUTED'), { output: 'begun\nend\n' });
});

t.test('a node that was cut off from the database and comes back does not fight for what it ran', async (t) => {
  const databaseUrl = await createDatabase(t);
  const network = await breakableNetwork(t, databaseUrl);
  // It is the same port when it has begun anew.
  const cutOff = { ...lost, PORT: `${await freePort()}`, DATABASE_URL: network.url, SHELLVISOR_NODE_LABELS: 'far' };
  const { nodes } = await nodesOn(t, databaseUrl, [cutOff, lost]);
  const [far, near] = nodes as [TestServer, TestServer];
  const seconds = uniqueSeconds();
  const node = { label: 'far' };
  const folder = temporaryFolder(t);
  const gone = await run(near, { script: `echo begun; sleep ${seconds}`, node }, true);
  // It ends while it is cut off, and so would be EXECUTED.
  const ends = await run(
    near,
    { script: `echo begun; while [ ! -e "$1/end" ]; do sleep 0.1; done; echo end`, node, args: [folder] },
    true,
  );
  const rerun = `echo run; [ -e "$1/ran" ] || { touch "$1/ran"; sleep ${seconds}; }`;
  const again = await run(near, { script: rerun, node, args: [folder], on_lost: 'rerun' }, true);
  for (const uuid of [gone, ends, again]) await untilOutput(near, uuid, /begun|run/);
  network.break();
  writeFileSync(`${folder}/end`, '');
  for (const uuid of [gone, ends])
    t.match(await untilStatus(near, uuid, 'FAILED'), { reason: 'lost', output: 'begun\n' });
  network.mend();
  await until('it has begun anew', async () => {
    const { body } = await near.request('GET', '/manage/nodes');
    return (
      body.filter(({ name, state }: { name: string; state: string }) => name === 'n1' && state === 'up').length === 1
    );
  });
  for (const uuid of [gone, ends]) {
    const { body } = await near.request('GET', `/api/v1/commands/${uuid}`);
    t.match(body, { status: 'FAILED', reason: 'lost', output: 'begun\n' }, 'what was decided stays');
  }
  t.match(await untilStatus(near, again, 'EXECUTED'), { output: 'run\nrun\n' });
  await until('nothing of what was lost lives', () => processesWith(`sleep ${seconds}`).length === 0);
  const after = await run(near, { script: 'echo after', node });
  t.match(await untilStatus(far, after, 'EXECUTED'), { output: 'after\n', node: 'n1' });
});
