import { readFileSync } from 'node:fs';
import { Client } from 'pg';
import t from 'tap';
import { run, startNodes, untilOutput, untilStatus } from '../helpers/nodes.ts';
import { type TestServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const { nodes, databaseUrl } = await startNodes(
  t,
  { SHELLVISOR_MAX_PARALLEL: '1', SHELLVISOR_STOP_GRACE_MS: '300' },
  { SHELLVISOR_MAX_PARALLEL: '1', SHELLVISOR_STOP_GRACE_MS: '300', SHELLVISOR_NODE_LABELS: 'large, gpu' },
);
const [first, second] = nodes as [TestServer, TestServer];

const node = async (name: string) => {
  const { body } = await first.request('GET', '/manage/nodes');
  return body.find((one: { name: string }) => one.name === name);
};

t.test('commands that were sent to one node run on all that have free slots, oldest first', async (t) => {
  const uuids = [];
  for (const script of ['sleep 600', 'sleep 600', 'echo three', 'echo four']) uuids.push(await run(first, { script }));
  const [one, two, three, four] = uuids as [string, string, string, string];
  for (const uuid of [one, two]) await untilStatus(second, uuid, 'EXECUTING');
  t.match((await second.request('GET', '/manage/nodes')).body, [
    { name: 'n1', executing: 1, slots: 1, state: 'up', is_self: false, labels: [] },
    { name: 'n2', executing: 1, slots: 1, state: 'up', is_self: true, labels: ['large', 'gpu'] },
  ]);
  t.equal((await first.request('GET', `/api/v1/commands/${three}`)).body.status, 'QUEUED');
  // By the node that does not run it, or by the one that does. Only its slot gets free, so both run there.
  t.match(await second.request('PATCH', `/api/v1/commands/${one}`), { status: 200 });
  const third = await untilStatus(second, three, 'EXECUTED');
  const fourth = await untilStatus(second, four, 'EXECUTED');
  t.match([third.output, fourth.output], ['three\n', 'four\n']);
  t.equal(third.node, fourth.node);
  t.ok(third.started_at < fourth.started_at, `${third.started_at} < ${fourth.started_at}`);
  t.match(await second.request('PATCH', `/api/v1/commands/${two}`), { status: 200 });
});

t.test('a command that wants a kind of node runs on one of that kind', async (t) => {
  const busy = await run(second, { script: 'sleep 600', node: { label: 'gpu' } });
  await untilStatus(first, busy, 'EXECUTING');
  const waits = await run(first, { script: 'echo here', node: { label: 'large' } });
  const runs = await run(first, { script: 'echo there' });
  await untilStatus(first, runs, 'EXECUTED');
  t.match((await first.request('GET', `/api/v1/commands/${waits}`)).body, {
    status: 'QUEUED',
    options: { node: { label: 'large' } },
  });
  t.match(await node('n2'), { executing: 1 });
  t.match(await first.request('PATCH', `/api/v1/commands/${busy}`), { status: 200 });
  t.match(await untilStatus(first, waits, 'EXECUTED'), { output: 'here\n' });
});

t.test('how long a command has waited is counted by the node that runs it, wherever it came in', async (t) => {
  const counted = async (of: TestServer) => {
    const { body } = await of.request('GET', '/manage/metrics');
    return Number(/^shellvisor_queue_wait_seconds_count (\d+)$/m.exec(body)?.[1]);
  };
  const before = [await counted(first), await counted(second)] as [number, number];
  await untilStatus(first, await run(first, { script: 'true', node: { label: 'gpu' } }), 'EXECUTED');
  t.same([await counted(first), await counted(second)], [before[0], before[1] + 1]);
});

t.test('a folder is looked for where the command runs', async (t) => {
  const cwd = '/nothing/like/that';
  const uuid = await run(first, { script: 'true', cwd, node: { label: 'gpu' } });
  t.match(await untilStatus(first, uuid, 'FAILED'), {
    reason: 'spawn_error',
    error: `starting bash: cwd does not exist: ${cwd}`,
    node: 'n2',
  });
});

t.test('a kind of node that there is none of is refused, with those that there are', async (t) => {
  const body = { script: 'true', node: { label: 'gqu' } };
  t.match(await first.request('POST', '/api/v1/commands', body), {
    status: 400,
    body: { code: 'NODE_UNKNOWN', error: 'no node has the label gqu; there are gpu, large' },
  });
});

t.test('a command with secrets runs on the node that it was sent to', async (t) => {
  const secret = { script: 'echo "${#SECRET}"; sleep 600', secret_env: { SECRET: 'seventeen letters' } };
  const uuid = await run(first, secret, true);
  await untilOutput(second, uuid, /17/);
  t.match(await node('n1'), { executing: 1 });
  t.match(await second.request('PATCH', `/api/v1/commands/${uuid}`), { status: 200 });
  t.match(await first.request('POST', '/api/v1/commands', { ...secret, node: { label: 'gpu' } }), {
    status: 400,
    body: { code: 'SECRETS_STAY' },
  });
});

t.test('a command that waits is stopped and deleted by whichever node is asked', async (t) => {
  const busy = [await run(first, { script: 'sleep 600' }), await run(first, { script: 'sleep 600' })];
  for (const uuid of busy) await untilStatus(second, uuid, 'EXECUTING');
  const stopped = await run(first, { script: 'true' });
  const deleted = await run(first, { script: 'true' });
  t.match(await second.request('PATCH', `/api/v1/commands/${stopped}`), { status: 200 });
  t.match((await first.request('GET', `/api/v1/commands/${stopped}`)).body, { status: 'STOPPED', reason: 'stop' });
  t.same(
    (await first.request('GET', `/api/v1/commands/${stopped}/transitions`)).body.map(
      ({ from, event, to }: Record<string, string>) => [from, event, to],
    ),
    [
      [null, 'admit', 'queued'],
      ['queued', 'stop', 'storing'],
      ['storing', 'store is done', 'stopped'],
    ],
  );
  t.match(await second.request('DELETE', `/api/v1/commands/${deleted}`), { status: 204 });
  t.match(await first.request('GET', `/api/v1/commands/${deleted}`), { status: 404 });
  for (const uuid of busy) t.match(await second.request('DELETE', `/api/v1/commands/${uuid}`), { status: 204 });
});

t.test('many stops at both nodes are one, and the first to ask is who has stopped it', async (t) => {
  const uuid = await run(first, { script: 'trap "echo term" TERM; echo ready; while :; do sleep 0.05; done' }, true);
  await untilOutput(second, uuid, /ready/);
  const stops = nodes.flatMap((each) =>
    Array.from({ length: 20 }, () => each.request('PATCH', `/api/v1/commands/${uuid}`)),
  );
  for (const stop of stops) t.match(await stop, { status: 200 });
  const { body } = await first.request('GET', `/api/v1/commands/${uuid}`);
  t.match(body, { status: 'STOPPED', signal: 'SIGKILL' });
  t.equal(body.output.match(/^term$/gm)?.length, 1);
});

t.test('a stop and a delete at two nodes at once stop a command once, and it is gone', async (t) => {
  const script = `trap 'echo term >> "$1"; exit' TERM; echo ready; while :; do sleep 0.05; done`;
  for (const [stopper, deleter] of [
    [first, second],
    [second, first],
  ] as const) {
    const file = `${temporaryFolder(t)}/terms`;
    const uuid = await run(first, { script, args: [file], node: { label: 'gpu' } }, true);
    await untilOutput(first, uuid, /ready/);
    const path = `/api/v1/commands/${uuid}`;
    const [stopped, deleted] = await Promise.all([stopper.request('PATCH', path), deleter.request('DELETE', path)]);
    t.equal(deleted.status, 204);
    // Where the delete was quicker there is nothing to tell of any more.
    t.ok([200, 404].includes(stopped.status), `the stop: ${stopped.status}`);
    t.equal(readFileSync(file, 'utf8'), 'term\n');
    for (const each of nodes) t.match(await each.request('GET', path), { status: 404 });
  }
});

t.test('a bulk deletion at one node deletes what has ended on any, and spares what waits and runs there', async (t) => {
  const labels = { pruned: 'yes' };
  const ended = [await run(first, { script: 'true', labels }), await run(second, { script: 'true', labels })];
  for (const uuid of ended) await untilStatus(second, uuid, 'EXECUTED');
  const live = [];
  for (const _ of nodes) live.push(await run(second, { script: 'sleep 600', labels }));
  for (const uuid of live) await untilStatus(first, uuid, 'EXECUTING');
  live.push(await run(second, { script: 'true', labels }));
  t.match(await first.request('DELETE', '/api/v1/commands?label.pruned=yes'), {
    status: 200,
    body: { deleted: 2, kept: { live: 3, pinned: 0 } },
  });
  const { body: left } = await second.request('GET', '/api/v1/commands?label.pruned=yes');
  t.same(left.map((command: { command_uuid: string }) => command.command_uuid).sort(), live.sort());
  for (const uuid of live) t.match(await first.request('DELETE', `/api/v1/commands/${uuid}`), { status: 204 });
});

t.test('a request that comes again with its key at another node is answered with the same command', async (t) => {
  const post = async (to: TestServer) => {
    const answer = await fetch(`${to.url}/api/v1/commands`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': 'only-once' },
      body: JSON.stringify({ script: 'echo once' }),
    });
    return { status: answer.status, replayed: answer.headers.get('idempotency-replayed'), ...(await answer.json()) };
  };
  const answers = await Promise.all([post(first), post(second), post(first), post(second)]);
  const { uuid } = answers[0] as { uuid: string };
  for (const answer of answers) t.match(answer, { status: 201, uuid });
  t.equal(answers.filter(({ replayed }) => replayed === null).length, 1, 'one of them has created it');
  t.match(await untilStatus(second, uuid, 'EXECUTED'), { output: 'once\n' });
  t.match(await post(second), { status: 201, uuid, replayed: 'true' });
});

t.test('the output of a command is followed to its end at a node that does not run it', async (t) => {
  const script = 'for i in $(seq 2000); do echo $i; done; sleep 0.2; echo last';
  const busy = await run(second, { script: 'sleep 600', node: { label: 'gpu' } });
  await untilStatus(first, busy, 'EXECUTING');
  const uuid = await run(first, { script }, true);
  const followed = await fetch(`${second.url}/api/v1/commands/${uuid}/output?follow=true`);
  const expected = `${Array.from({ length: 2000 }, (_, i) => `${i + 1}\n`).join('')}last\n`;
  t.equal(await followed.text(), expected);
  t.match(await first.request('PATCH', `/api/v1/commands/${busy}`), { status: 200 });
});

t.test('a node that drains takes no more, ends what it has, and takes again when told so', async (t) => {
  const uuid = await run(second, {
    script: 'while [ ! -e "$1" ]; do sleep 0.05; done',
    node: { label: 'gpu' },
    args: ['/dev/null/no'],
  });
  await untilStatus(first, uuid, 'EXECUTING');
  const { id } = await node('n2');
  t.match(await first.request('POST', `/manage/nodes/${id}/drain`), { status: 204 });
  t.match(await node('n2'), { state: 'draining', executing: 1 });
  t.match(await first.request('PATCH', `/api/v1/commands/${uuid}`), { status: 200 });
  await until('it has nothing', async () => (await node('n2')).state === 'drained');
  const waits = await run(second, { script: 'echo waits', node: { label: 'gpu' } });
  const runs = await run(second, { script: 'echo runs' });
  await untilStatus(second, runs, 'EXECUTED');
  t.match((await first.request('GET', `/api/v1/commands/${waits}`)).body, { status: 'QUEUED' });
  t.match(await second.request('DELETE', '/manage/nodes/self/drain'), { status: 204 });
  t.match(await untilStatus(first, waits, 'EXECUTED'), { output: 'waits\n' });
  for (const none of ['4711', '0', '99999999999', '0x10', 'n1']) {
    t.match(await first.request('POST', `/manage/nodes/${none}/drain`), {
      status: 404,
      body: { code: 'NODE_NOT_FOUND' },
    });
  }
});

t.test('a command whose job is gone, as after a restore of our tables alone, runs all the same', async (t) => {
  const client = new Client(databaseUrl);
  await client.connect();
  t.teardown(() => client.end());
  const busy = [await run(first, { script: 'sleep 600' }), await run(first, { script: 'sleep 600' })];
  for (const uuid of busy) await untilStatus(second, uuid, 'EXECUTING');
  const waits = await run(first, { script: 'echo here' });
  t.equal((await client.query('DELETE FROM shellvisor_queue.job')).rowCount, 1);
  for (const uuid of busy) t.match(await second.request('DELETE', `/api/v1/commands/${uuid}`), { status: 204 });
  t.match(await untilStatus(first, waits, 'EXECUTED'), { output: 'here\n' });
});
