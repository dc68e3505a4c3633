import t from 'tap';
import { run, startNodes, untilOutput, untilStatus } from '../helpers/nodes.ts';
import { serverPid, type TestServer } from '../helpers/server.ts';

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
