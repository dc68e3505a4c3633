import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { Client } from 'pg';
import t from 'tap';
import { createDatabase } from '../helpers/cluster.ts';
import { killNode, nodesOn, run, untilStatus } from '../helpers/nodes.ts';
import { freePort, launch, serverPid, startServer, type TestServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

/** A server that shares nothing. */
const startAlone = (t: Parameters<typeof startServer>[0], databaseUrl: string) =>
  startServer(t, { DATABASE_URL: databaseUrl });

/** Kills the server of a launcher, which starts the next one only after so many ms. */
async function withoutServer(server: TestServer, ms: number): Promise<void> {
  const launcher = server.child.pid as number;
  process.kill(launcher, 'SIGSTOP');
  const killedAt = performance.now();
  process.kill(await serverPid(server), 'SIGKILL');
  await until('the time is over', () => performance.now() - killedAt > ms);
  process.kill(launcher, 'SIGCONT');
}

const runsAt = (server: TestServer, uuid: string) => server.request('GET', `/api/v1/commands/${uuid}`);

t.test('a server alone leaves to the nodes of its database what they have, until none is there any more', async (t) => {
  const databaseUrl = await createDatabase(t);
  const { nodes } = await nodesOn(t, databaseUrl, [{ SHELLVISOR_MAX_PARALLEL: '1' }]);
  const [node] = nodes as [TestServer];
  const busy = await run(node, { script: 'sleep 600' });
  await untilStatus(node, busy, 'EXECUTING');
  const waits = await run(node, { script: 'echo waited' });
  const alone = await startAlone(t, databaseUrl);
  const own = await run(alone, { script: 'echo own' });
  t.match(await untilStatus(alone, own, 'EXECUTED'), { output: 'own\n', node: null });
  t.match((await runsAt(alone, waits)).body, { status: 'QUEUED' });
  t.match((await runsAt(alone, busy)).body, { status: 'EXECUTING' });
  t.match(await alone.request('PATCH', `/api/v1/commands/${waits}`), {
    status: 409,
    body: { code: 'COMMAND_ELSEWHERE' },
  });
  t.match(await alone.end(), { code: 0 });

  await killNode(node);
  const next = await startAlone(t, databaseUrl);
  t.match(await untilStatus(next, waits, 'EXECUTED'), { output: 'waited\n' });
  t.match((await runsAt(next, busy)).body, { status: 'FAILED', reason: 'lost' });
});

t.test(
  'a user of the database who may not make the schema of the queue is told in one line what is missing',
  async (t) => {
    const url = new URL(await createDatabase(t));
    const client = new Client(url.href);
    await client.connect();
    const user = `user_${randomUUID().replaceAll('-', '')}`;
    await client.query(`CREATE ROLE ${user}; GRANT ALL ON ALL TABLES IN SCHEMA public TO ${user}`);
    t.teardown(async () => {
      await client.query(`DROP OWNED BY ${user} CASCADE; DROP ROLE ${user}`);
      await client.end();
    });
    url.searchParams.set('options', `-c role=${user}`);
    const DATA_DIR = temporaryFolder(t);
    const server = launch(t, { DATA_DIR, DATABASE_URL: url.href, SHELLVISOR_CLUSTER: 'on', LOG_LEVEL: 'silent' });
    t.match(await server.exited, { code: 1 });
    t.match(
      server.stderr(),
      /^shellvisor: SHELLVISOR_CLUSTER=on keeps its queue in the schema shellvisor_queue, which the user .* may not make or change; CREATE SCHEMA shellvisor_queue AUTHORIZATION that user\n$/,
    );
  },
);

t.test('what a server alone runs outlives its restart beside a node, and is lost with it', async (t) => {
  const databaseUrl = await createDatabase(t);
  const { nodes } = await nodesOn(t, databaseUrl, [{ SHELLVISOR_NODE_LOST_MS: '5000' }]);
  const [node] = nodes as [TestServer];
  const alone = await startAlone(t, databaseUrl);
  const gate = `${temporaryFolder(t)}/gate`;
  const lives = await run(alone, { script: 'until [ -e "$1" ]; do sleep 0.05; done; echo end', args: [gate] });
  const stays = await run(alone, { script: 'sleep 600' });
  for (const uuid of [lives, stays]) await untilStatus(alone, uuid, 'EXECUTING');
  await withoutServer(alone, 3500);
  writeFileSync(gate, '');
  t.match(await untilStatus(node, lives, 'EXECUTED'), { output: 'end\n' });
  await killNode(alone);
  t.match(await untilStatus(node, stays, 'FAILED'), { reason: 'lost' });
});

t.test('a server alone that starts while the only node starts again leaves all to that', async (t) => {
  const databaseUrl = await createDatabase(t);
  const { nodes } = await nodesOn(t, databaseUrl, [{ SHELLVISOR_MAX_PARALLEL: '1', PORT: `${await freePort()}` }]);
  const [node] = nodes as [TestServer];
  const gate = `${temporaryFolder(t)}/gate`;
  const runs = await run(node, { script: 'until [ -e "$1" ]; do sleep 0.05; done; echo end', args: [gate] });
  await untilStatus(node, runs, 'EXECUTING');
  const waits = await run(node, { script: 'echo waited' });
  const [alone] = await Promise.all([startAlone(t, databaseUrl), withoutServer(node, 4500)]);
  writeFileSync(gate, '');
  t.match(await untilStatus(alone, runs, 'EXECUTED'), { output: 'end\n', node: 'n1' });
  t.match(await untilStatus(alone, waits, 'EXECUTED'), { output: 'waited\n', node: 'n1' });
});
