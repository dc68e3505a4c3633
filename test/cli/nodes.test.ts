import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { drain } from '../../src/cli/drain.ts';
import { Shellvisor } from '../../src/client/index.ts';
import { callCli } from '../helpers/cli.ts';
import { createDatabase } from '../helpers/cluster.ts';
import { run, startNodes, untilStatus } from '../helpers/nodes.ts';
import { startServer, type TestServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const { nodes } = await startNodes(t, { SHELLVISOR_NODE_LABELS: 'first' }, { SHELLVISOR_MAX_PARALLEL: '7' });
const [first, second] = nodes as [TestServer, TestServer];
const folder = temporaryFolder(t);

const start = (node: TestServer, ...args: string[]) => callCli(t, args, { SHELLVISOR_URL: node.url });
const call = (node: TestServer, ...args: string[]) => start(node, ...args).ended;

const stateOf = async (name: string) => {
  const { body } = await first.request('GET', '/manage/nodes');
  return body.find((node: { name: string }) => node.name === name).state;
};

/** Starts a script on the first node that ends when `release` is called. */
async function busy(name: string): Promise<{ uuid: string; release: () => void }> {
  const gate = join(folder, name);
  const script = 'until [ -e "$1" ]; do sleep 0.05; done';
  const uuid = await run(second, { script, args: [gate], node: { label: 'first' } });
  await untilStatus(second, uuid, 'EXECUTING');
  return { uuid, release: () => writeFileSync(gate, '') };
}

t.test('nodes lists those that share the work, with what they run', async (t) => {
  const { uuid, release } = await busy('listed');
  t.match(await call(second, 'nodes'), {
    code: 0,
    stdout:
      /^ID +NAME +VERSION +STATE +RUNS +WAIT +HEARD +LABELS\n\d+ +n1 +\S+ +up +1 of 64 +0 +.* ago +first\n\d+ +n2 +\S+ +up +0 of 7 +0 +.* ago +\n$/,
  });
  release();
  await untilStatus(second, uuid, 'EXECUTED');
  const { stdout } = await call(second, 'nodes', '--json');
  t.match(JSON.parse(stdout), [
    { name: 'n1', is_self: false, labels: ['first'] },
    { name: 'n2', is_self: true, slots: 7 },
  ]);
});

t.test('drain waits until what the node runs has come to its end, and the others go on', async (t) => {
  const { uuid, release } = await busy('drained');
  const draining = start(first, 'drain', '--wait');
  await until('it drains', async () => (await stateOf('n1')) === 'draining');
  // Sent to the node that drains, so another one runs it.
  const other = await run(first, { script: 'echo other' });
  t.match(await untilStatus(first, other, 'EXECUTED'), { node: 'n2' });
  t.match(
    await call(second, 'drain', 'self'),
    { code: 0, stdout: /^\d+ {2}drained\n$/ },
    'without --wait it tells how far it is',
  );
  t.match(await call(second, 'drain', '--undo'), { code: 0, stdout: /^\d+ {2}up\n$/ });
  t.equal(draining.stdout(), '');
  release();
  t.match(await draining.ended, { code: 0, stdout: /^\d+ {2}drained\n$/, stderr: '' });
  t.match(await untilStatus(second, uuid, 'EXECUTED'), { exit_code: 0, reason: 'exit' });
  t.match(await call(first, 'drain', '--undo'), { code: 0 });
});

t.test('a drain is undone by any node, and whoever waits for it learns that', async (t) => {
  const { uuid, release } = await busy('undone');
  const draining = start(first, 'drain', '--wait');
  await until('it drains', async () => (await stateOf('n1')) === 'draining');
  const { body } = await second.request('GET', '/manage/nodes');
  t.match(await call(second, 'drain', body[0].id, '--undo'), { code: 0, stdout: `${body[0].id}  up\n` });
  t.match(await draining.ended, { code: 125, stderr: /^shellvisor: node n1 takes commands again/ });
  release();
  await untilStatus(second, uuid, 'EXECUTED');
});

t.test('drain gives up after its timeout; the node stays without new commands', async (t) => {
  const { uuid, release } = await busy('slow');
  t.match(await call(first, 'drain', '--wait', '--timeout', '50ms'), {
    code: 125,
    stdout: '',
    stderr: 'shellvisor: node n1 still has 1 command\n',
  });
  t.equal(await stateOf('n1'), 'draining');
  release();
  await untilStatus(second, uuid, 'EXECUTED');
  t.match(await call(first, 'drain', '--undo'), { code: 0 });
});

t.test('behind a load balancer it is the node that answered first, whoever answers then', async (t) => {
  let turn = 0;
  const balanced = ((url: string, init: RequestInit) =>
    fetch(url.replace(first.url, turn++ % 2 === 0 ? first.url : second.url), init)) as typeof fetch;
  const client = new Shellvisor({ url: first.url, fetch: balanced });
  t.match(await drain(client, 'self', { wait: true }), { name: 'n1', state: 'drained' });
  t.equal(await stateOf('n2'), 'up');
  t.match(await call(first, 'drain', '--undo'), { code: 0 });
});

t.test('drain says what is wrong with its call', async (t) => {
  t.match(await call(first, 'drain', '0'), { code: 125, stderr: /^shellvisor: there is no node 0; / });
  t.match(await call(first, 'drain', '--undo', '--wait'), { code: 2, stderr: /--undo has nothing to wait for/ });
  t.match(await call(first, 'drain', '--timeout', '1s'), { code: 2, stderr: /--timeout goes with --wait/ });
  const alone = await startServer(t, { DATABASE_URL: await createDatabase(t) });
  for (const args of [['nodes'], ['drain']]) {
    t.match(await call(alone, ...args), { code: 125, stderr: /^shellvisor: .*SHELLVISOR_CLUSTER=on/ });
  }
});
