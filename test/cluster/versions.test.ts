import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { run, startNodes, untilOutput, untilStatus } from '../helpers/nodes.ts';
import { isAlive } from '../helpers/processes.ts';
import { CHECKOUT, freePort, serverPid, type TestServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';
import { nextVersion, versionOf } from '../helpers/versions.ts';

/** The folder of the last release, to upgrade from that to this version; else it is from this one to the next. */
const { UPGRADE_FROM } = process.env;
const [from, to] = UPGRADE_FROM === undefined ? [CHECKOUT, nextVersion(t)] : [UPGRADE_FROM, CHECKOUT];

const folder = temporaryFolder(t);
/** Prints until a file of this name is there. */
const untilFile = 'echo begun; until [ -e "$1" ]; do sleep 0.05; done; echo released';
const api = (uuid: string, rest = '') => `/api/v1/commands/${uuid}${rest}`;

interface NodeRow {
  name: string;
  version: string;
  state: string;
  is_self: boolean;
}

async function nodesOf(node: TestServer): Promise<NodeRow[]> {
  return (await node.request('GET', '/manage/nodes')).body;
}

/** Replaces a node as docs/scaling.md says: drained, ended, and never asked in between. */
async function retire(node: TestServer): Promise<void> {
  await node.request('POST', '/manage/nodes/self/drain');
  await until('it has nothing more', async () => {
    return (await nodesOf(node)).find(({ is_self }) => is_self)?.state === 'drained';
  });
  t.match(await node.end(), { code: 0 });
}

const started = await startNodes(t);
// Its port is the same after a crash.
const old = await started.add({ SHELLVISOR_NODE_LABELS: 'old', PORT: `${await freePort()}` }, { checkout: from });
const other = await started.add({}, { checkout: from });
const runs = join(folder, 'runs');
/** Who is asked, as the balancer in front has it. */
let asked = [old, other];
/** What was answered, by its number. */
const uuids = new Map<string, string>();
let isSending = true;
let sent = 0;

/** Sends one command after the other, each to the next node, and again with its key where that node goes. */
async function send(): Promise<void> {
  const script = 'echo "$2" >> "$1"; echo "$2"; sleep 0.2';
  while (isSending) {
    const number = `${++sent}`;
    const body = JSON.stringify({ script, args: [runs, number] });
    const headers = { 'content-type': 'application/json', 'idempotency-key': number };
    let turn = sent;
    const post = async () => {
      const node = asked[turn++ % asked.length] as TestServer;
      const created = await fetch(`${node.url}/api/v1/commands?wait=10`, { method: 'POST', headers, body });
      if (created.status === 503) return undefined;
      if (!created.ok) throw new Error(await created.text());
      return created.json();
    };
    const isGone = (error: Error) => {
      if (error instanceof TypeError) return undefined;
      throw error;
    };
    const { uuid } = await until('a node takes it', () => post().catch(isGone));
    uuids.set(number, uuid);
  }
}
const sending = Promise.all([send(), send(), send()]);
// What goes wrong is told by the last test, which waits for it.
sending.catch(() => {});
t.teardown(() => {
  isSending = false;
});

// The schema changes under load, and under what runs.
const begunBefore = await run(old, { script: untilFile, args: [join(folder, 'before')], node: { label: 'old' } }, true);
await untilOutput(old, begunBefore, /begun/);
const anew = await started.add({ SHELLVISOR_NODE_LABELS: 'new' }, { checkout: to });
asked.push(anew);

t.test('two versions side by side know each other', async (t) => {
  const versions = [versionOf(from), versionOf(from), versionOf(to)];
  t.not(versionOf(from), versionOf(to));
  for (const node of asked) {
    const rows = await nodesOf(node);
    t.same(
      rows.map(({ name, version, state }) => [name, version, state]),
      versions.map((version, i) => [`n${i + 1}`, version, 'up']),
    );
  }
});

for (const [where, label, asker] of [
  ['the old version', 'old', anew],
  ['the new version', 'new', old],
] as const) {
  t.test(`what runs on ${where} is reached from the other one`, async (t) => {
    const node = { label };
    const gate = join(folder, label);
    const followed = await run(asker, { script: untilFile, args: [gate], node }, true);
    const following = fetch(`${asker.url}${api(followed, '/output?follow=true')}`).then((answer) => answer.text());
    await untilOutput(asker, followed, /begun/);
    writeFileSync(gate, '');
    t.equal(await following, 'begun\nreleased\n');

    const ended = async (script: string, method: string, query: string) => {
      const uuid = await run(asker, { script, node });
      await untilStatus(asker, uuid, 'EXECUTING');
      return [await asker.request(method, api(uuid, query)), await asker.request('GET', api(uuid))] as const;
    };
    const [stop, stopped] = await ended('sleep 600', 'PATCH', '');
    t.match([stop.status, stopped.body], [200, { status: 'STOPPED', reason: 'stop' }]);
    const [kill, killed] = await ended('trap "" TERM; sleep 600', 'PATCH', '?kill=true');
    t.match([kill.status, killed.body], [200, { status: 'STOPPED' }]);
    const [removal, removed] = await ended('sleep 600', 'DELETE', '');
    t.match([removal.status, removed.status], [204, 404]);
    const steps = await asker.request('GET', api(followed, '/transitions'));
    t.match(steps.body.at(-1), { to: 'executed' });
  });
}

t.test(
  'a server of the old version that crashes comes back on the schema of the new one, with its script',
  async (t) => {
    const pid = await serverPid(old);
    // A balancer asks the others meanwhile.
    asked = [other, anew];
    process.kill(pid, 'SIGKILL');
    await until('it is gone', () => !isAlive(pid));
    await until('the next one is ready', () =>
      fetch(`${old.url}/manage/ready`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    writeFileSync(join(folder, 'before'), '');
    t.match(await untilStatus(anew, begunBefore, 'EXECUTED'), { output: 'begun\nreleased\n', node: 'n1' });
    asked.push(old);
  },
);

t.test('all nodes are replaced one after the other, and no command is lost or runs twice', async (t) => {
  const gate = join(folder, 'drained');
  const busy = await run(anew, { script: untilFile, args: [gate], node: { label: 'old' } });
  await untilStatus(anew, busy, 'EXECUTING');
  asked = [other, anew];
  const retired = retire(old);
  await until('it drains', async () =>
    (await nodesOf(anew)).some(({ name, state }) => name === 'n1' && state === 'draining'),
  );
  const last = await started.add({}, { checkout: to });
  asked = [anew, last];
  await retire(other);
  writeFileSync(gate, '');
  await retired;
  t.match(await untilStatus(last, busy, 'EXECUTED'), { output: 'begun\nreleased\n', node: 'n1' });
  isSending = false;
  await sending;
  t.ok(uuids.size > 20, `${uuids.size} commands`);
  const outputs = [...uuids].map(async ([n, uuid]) => [n, (await untilStatus(last, uuid, 'EXECUTED')).output]);
  t.same(
    await Promise.all(outputs),
    [...uuids.keys()].map((n) => [n, `${n}\n`]),
  );
  const ran = readFileSync(runs, 'utf8').trimEnd().split('\n');
  t.same(ran.sort(), [...uuids.keys()].sort(), 'each ran once');
});
