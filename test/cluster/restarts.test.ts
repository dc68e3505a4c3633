import { readFileSync } from 'node:fs';
import t from 'tap';
import { nodesOn, run, startNodes, untilOutput, untilStatus } from '../helpers/nodes.ts';
import { serverPid, type TestServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const stateOf = async (node: TestServer, name: string) => {
  const { body } = await node.request('GET', '/manage/nodes');
  return body.filter((one: { name: string }) => one.name === name).map(({ state }: { state: string }) => state);
};

t.test('a node whose server is killed keeps its scripts, and who follows them elsewhere misses nothing', async (t) => {
  const lost = { SHELLVISOR_NODE_LOST_MS: '10000' };
  const { nodes } = await startNodes(t, { ...lost, SHELLVISOR_NODE_LABELS: 'here' }, lost);
  const [first, second] = nodes as [TestServer, TestServer];
  const script = 'for i in $(seq 300); do echo $i; sleep 0.02; done';
  const uuid = await run(second, { script, node: { label: 'here' } }, true);
  const following = fetch(`${second.url}/api/v1/commands/${uuid}/output?follow=true`).then((answer) => answer.text());
  await untilOutput(second, uuid, /^20$/m);
  process.kill(await serverPid(first), 'SIGKILL');
  t.equal(await following, Array.from({ length: 300 }, (_, i) => `${i + 1}\n`).join(''));
  t.match(await untilStatus(second, uuid, 'EXECUTED'), { exit_code: 0, node: 'n1' });
  t.same(await stateOf(second, 'n1'), ['up'], 'it is the same node');
});

t.test('all nodes are replaced one after the other, and no command is lost or runs twice', async (t) => {
  const { nodes, databaseUrl } = await startNodes(t, {}, {});
  const file = `${temporaryFolder(t)}/runs`;
  /** What was answered, by its number. */
  const uuids = new Map<string, string>();
  let isSending = true;
  const script = 'echo "$2" >> "$1"; echo "$2"; sleep 0.2';
  const send = async () => {
    for (let n = 0; isSending; n++) {
      const node = nodes[n % nodes.length] as TestServer;
      // Whoever balances the load goes on to the next node where one shuts down.
      const created = await node
        .request('POST', '/api/v1/commands', { script, args: [file, `${n}`] })
        .catch(() => undefined);
      if (created?.status === 201) uuids.set(`${n}`, created.body.uuid);
    }
  };
  const sending = send();
  for (const old of [...nodes]) {
    const anew = (await nodesOn(t, databaseUrl, [{}])).nodes[0] as TestServer;
    nodes.push(anew);
    await old.request('POST', '/manage/nodes/self/drain');
    await until('it has nothing more', async () => {
      const { body } = await old.request('GET', '/manage/nodes');
      return body.find((one: { is_self: boolean }) => one.is_self).state === 'drained';
    });
    nodes.splice(nodes.indexOf(old), 1);
    t.match(await old.end(), { code: 0 });
  }
  isSending = false;
  await sending;
  t.ok(uuids.size > 20, `${uuids.size} commands`);
  for (const [n, uuid] of uuids)
    t.match(await untilStatus(nodes[0] as TestServer, uuid, 'EXECUTED'), { output: `${n}\n` });
  const runs = readFileSync(file, 'utf8').trimEnd().split('\n');
  t.same(new Set(runs).size, runs.length, 'none ran twice');
  // One whose node went before it answered may have run, too.
  t.same(
    [...uuids.keys()].filter((n) => !runs.includes(n)),
    [],
    'each that was answered ran',
  );
});
