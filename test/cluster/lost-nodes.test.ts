import t from 'tap';
import { killNode, run, startNodes, untilOutput, untilStatus } from '../helpers/nodes.ts';
import { processesWith, uniqueSeconds } from '../helpers/processes.ts';
import { serverPid, type TestServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

/** Within how long it is decided what becomes of what a node ran, in ms, where nobody has set it otherwise. */
const DECIDED_MS = 30_000;

/** What comes of the output of a command from a byte on, until it ends or the node that is asked does. */
async function follow(node: TestServer, uuid: string, from = 0) {
  const { body } = await fetch(`${node.url}/api/v1/commands/${uuid}/output?follow=true&from=${from}`);
  const followed = { text: '', ended: Promise.resolve() };
  const read = async () => {
    for await (const bytes of body as ReadableStream<Uint8Array>) followed.text += Buffer.from(bytes);
  };
  // Whose node dies is cut off.
  followed.ended = read().catch(() => {});
  return followed;
}

t.test(
  'what a killed node ran is lost, or runs again on another one, its output behind what it had printed, for followers too',
  async (t) => {
    const { nodes, add } = await startNodes(t, { SHELLVISOR_NODE_LABELS: 'dies' });
    const [first] = nodes as [(typeof nodes)[0]];
    const folder = temporaryFolder(t);
    const gone = await run(first, { script: 'echo begun; sleep 60', node: { label: 'dies' } }, true);
    // Its first run waits for ever, the second one ends.
    const script = `echo run; [ -e "$1/ran" ] || { touch "$1/ran"; sleep 600; }`;
    const again = await run(first, { script, args: [folder], on_lost: 'rerun' }, true);
    for (const uuid of [gone, again]) await untilOutput(first, uuid, /begun|run/);
    const second = await add();
    const waits = await run(first, { script: 'echo waited', node: { label: 'dies' } });
    await untilStatus(first, waits, 'EXECUTED');
    await killNode(await add({ SHELLVISOR_NODE_LABELS: 'idle' }));
    const followAll = (node: TestServer) => Promise.all([gone, again].map((uuid) => follow(node, uuid)));
    const textsOf = async (all: Awaited<ReturnType<typeof followAll>>) => {
      await Promise.all(all.map(({ ended }) => ended));
      return all.map(({ text }) => text);
    };
    const [atFirst, atSecond] = await Promise.all([followAll(first), followAll(second)]);
    await until('all came', () => atFirst.every(({ text }) => text !== ''));
    await killNode(first);
    t.same(await textsOf(atFirst), ['begun\n', 'run\n']);
    const goesOn = await follow(second, again, 'run\n'.length);
    t.match(await untilStatus(second, gone, 'FAILED', DECIDED_MS), { reason: 'lost', output: 'begun\n' });
    t.match(await untilStatus(second, again, 'EXECUTED'), { output: 'run\nrun\n', exit_code: 0 });
    t.same(await textsOf(atSecond), ['begun\n', 'run\nrun\n']);
    t.same(await textsOf([goesOn]), ['run\n'], 'who was cut off goes on elsewhere without a gap');
    const { body } = await second.request('GET', `/api/v1/commands/${again}/transitions`);
    t.same(
      body.map((step: { event: string }) => step.event).filter((event: string) => /admit|lost|start$/.test(event)),
      ['admit', 'start', 'lost', 'admit', 'start'],
    );
    const listed = async () => (await second.request('GET', '/manage/nodes')).body;
    const isLost = async (name: string) =>
      (await listed()).some((node: { name: string; state: string }) => node.name === name && node.state === 'lost');
    await until('the idle one is given up too', () => isLost('n3'));
    t.match(await listed(), [{ name: 'n1', state: 'lost' }, { name: 'n2', state: 'up' }, { name: 'n3' }]);
    // Which kinds there are is looked at each second.
    const refusal = await until('nobody waits for it any more', async () => {
      const answer = await second.request('POST', '/api/v1/commands', { script: 'true', node: { label: 'idle' } });
      return answer.status === 400 && answer.body;
    });
    t.match(refusal, { code: 'NODE_UNKNOWN', error: 'no node has the label idle; none has any label' });
  },
);

t.test(
  'a node that stood still is given up, begins anew as another one, and changes nothing of what was decided',
  async (t) => {
    const lost = { SHELLVISOR_NODE_LOST_MS: '5000' };
    const { nodes } = await startNodes(t, lost, { ...lost, SHELLVISOR_MAX_PARALLEL: '1' });
    const [first, second] = nodes as [(typeof nodes)[0], (typeof nodes)[0]];
    // Taken by whichever is free; both run something, so one of these is at the first node.
    const uuids = [await run(second, { script: 'sleep 600' }), await run(second, { script: 'sleep 600' })];
    for (const uuid of uuids) await untilStatus(second, uuid, 'EXECUTING');
    const pid = await serverPid(first);
    process.kill(pid, 'SIGSTOP');
    const gone = await until('one of them is lost', async () => {
      for (const uuid of uuids) {
        const { body } = await second.request('GET', `/api/v1/commands/${uuid}`);
        if (body.status === 'FAILED') return body;
      }
      return undefined;
    });
    t.match(gone, { reason: 'lost' });
    process.kill(pid, 'SIGCONT');
    const anew = await until('it begins anew', async () => {
      const { body } = await second.request('GET', '/manage/nodes');
      return body.filter((node: { name: string }) => node.name === 'n1').length === 2 && body;
    });
    t.match(
      anew.map(({ name, state }: { name: string; state: string }) => [name, state]),
      [
        ['n1', 'lost'],
        ['n2', 'up'],
        ['n1', 'up'],
      ],
    );
    t.match((await second.request('GET', `/api/v1/commands/${gone.command_uuid}`)).body, gone);
    const after = await run(second, { script: 'echo after' });
    t.match(await untilStatus(second, after, 'EXECUTED'), { output: 'after\n' });
  },
);

t.test('a node that is given up while it has no server begins anew when it has one', async (t) => {
  const lost = { SHELLVISOR_NODE_LOST_MS: '5000' };
  const seconds = uniqueSeconds();
  const { nodes, add } = await startNodes(t, lost);
  const [first] = nodes as [(typeof nodes)[0]];
  const uuid = await run(first, { script: `sleep ${seconds}` });
  await untilStatus(first, uuid, 'EXECUTING');
  const second = await add(lost);
  const launcher = first.child.pid as number;
  process.kill(launcher, 'SIGSTOP');
  process.kill(await serverPid(first), 'SIGKILL');
  t.match(await untilStatus(second, uuid, 'FAILED'), { reason: 'lost' });
  process.kill(launcher, 'SIGCONT');
  await until('it begins anew', async () => {
    const { body } = await second.request('GET', '/manage/nodes');
    return body.some(({ name, state }: { name: string; state: string }) => name === 'n1' && state === 'up');
  });
  t.same(processesWith(`sleep ${seconds}`), []);
});
