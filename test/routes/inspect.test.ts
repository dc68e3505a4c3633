import t, { type Test } from 'tap';
import { startApp } from '../helpers/app.ts';
import { eventsOf, nextEvents, type ServerEvent } from '../helpers/events.ts';
import { until } from '../helpers/until.ts';

const { app, submit, reaches, request } = await startApp(t, { inspect: true, maxParallel: 1 });
const address = await app.listen({ host: '127.0.0.1', port: 0 });

async function follow(t: Test) {
  const cut = new AbortController();
  t.teardown(() => cut.abort());
  const answer = await fetch(`${address}/manage/inspect`, { signal: cut.signal });
  t.equal(answer.status, 200);
  const events = eventsOf(answer);
  t.match(await nextEvents(events, 1), [{ event: 'start', id: '0' }]);
  return events;
}

/** Events up to the one by which an actor of this name has ended. */
async function untilDone(events: AsyncGenerator<ServerEvent>, name: string): Promise<ServerEvent[]> {
  const found: ServerEvent[] = [];
  for await (const event of events) {
    found.push(event);
    if (event.data.name === name && event.data.status === 'done') return found;
  }
  throw new Error(`the answer ended after ${JSON.stringify(found)}`);
}

t.test('each actor, each event and each state is told, in order, with who sent it to whom', async (t) => {
  const events = await follow(t);
  const [supervisor] = await nextEvents(events, 1);
  t.match(supervisor, {
    event: 'actor',
    data: { name: 'supervisor', parent: null, state: 'accepting', status: 'active' },
  });
  const root = supervisor?.data.actor;
  const uuid = await submit('exit 0');
  const found = await untilDone(events, uuid);
  t.same(
    found.map(({ id }) => Number(id)),
    found.map((_, i) => i + 2),
    'none is missing',
  );
  const command = found.find(({ event, data }) => event === 'actor' && data.name === uuid)?.data;
  t.match(command, { parent: root, status: 'active', at: /Z$/ });
  const process = found.find(({ event, data }) => event === 'actor' && data.name === 'process')?.data;
  t.equal(process?.parent, command?.actor);

  const messages = found
    .filter(({ event }) => event === 'event')
    .map(({ data }) => [data.source, data.event, data.actor]);
  const between = messages
    .filter(([, , to]) => to === command?.actor || to === root)
    .filter(([, event]) => event !== 'xstate.init');
  t.same(between.slice(0, 4), [
    [null, 'admit', root],
    [root, 'start', command?.actor],
    [process?.actor, 'process.started', command?.actor],
    [process?.actor, 'process.ended', command?.actor],
  ]);
  const states = found.filter(({ event, data }) => event === 'snapshot' && data.actor === command?.actor);
  t.same(
    [...new Set(states.map(({ data }) => data.state))],
    ['queued', 'executing.starting', 'executing.running', 'storing', 'executed'],
  );
});

t.test('of events and states only names are told', async (t) => {
  const events = await follow(t);
  const uuid = await submit('exit 0');
  const keys = new Set((await untilDone(events, uuid)).flatMap(({ data }) => Object.keys(data)));
  t.same([...keys].sort(), ['actor', 'at', 'event', 'name', 'parent', 'source', 'state', 'status']);
});

t.test('who comes later is told what lives, but for what waits', async (t) => {
  const running = await submit('exec sleep 60');
  const waiting = await submit('true');
  await until('it runs', async () => {
    const { body } = await request('GET', `/api/v1/commands/${running}/statechart`);
    return body.state === 'executing.running';
  });
  const [supervisor, command, process] = await nextEvents(await follow(t), 3);
  t.match(supervisor?.data, { name: 'supervisor' });
  t.match(command, {
    event: 'actor',
    data: { name: running, parent: supervisor?.data.actor, state: 'executing.running' },
  });
  t.match(process, {
    event: 'actor',
    data: { name: 'process', parent: command?.data.actor, state: null, status: 'active' },
  });
  const events = await follow(t);
  await request('DELETE', `/api/v1/commands/${running}`);
  const found = await untilDone(events, waiting);
  const begun = found.findIndex(({ data }) => data.name === waiting);
  t.match(found[begun], { event: 'event', data: { event: 'start' } }, 'it shows as soon as something happens to it');
});

t.test('neither a script, nor a secret, nor any other input is ever told', async (t) => {
  const cut = new AbortController();
  const answer = await fetch(`${address}/manage/inspect`, { signal: cut.signal });
  const MARK = 'mark-2f6e';
  const { body } = await request('POST', '/api/v1/commands', {
    script: `echo ${MARK}`,
    description: MARK,
    env: { GIVEN: MARK },
    secret_env: { SECRET: `${MARK}-secret` },
    args: [MARK],
    stdin: MARK,
    labels: { label: MARK },
  });
  await reaches(body.uuid, 'EXECUTED');
  let told = '';
  for await (const text of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    told += text;
    if (told.includes('"state":"executed"')) break;
  }
  cut.abort();
  t.match(told, body.uuid);
  t.notMatch(told, MARK);
});

t.test('who is too far behind is cut off, and who keeps up is not', async (t) => {
  const { app, commander } = await startApp(t, { inspect: true });
  const address = await app.listen({ host: '127.0.0.1', port: 0 });
  const events = eventsOf(await fetch(`${address}/manage/inspect`));
  await nextEvents(events, 2);
  await commander.drain();
  // Once drained each of these changes nothing, and is told by two events.
  const happens = (times: number) => Promise.all(Array.from({ length: times }, () => commander.drain()));
  await happens(500);
  t.equal((await nextEvents(events, 1000)).length, 1000);
  await happens(10_100);
  await t.rejects(Array.fromAsync(events), { message: 'terminated' });
});

t.test('a server that is not started for it says how to start one', async (t) => {
  const { request } = await startApp(t);
  const { status, body } = await request('GET', '/manage/inspect');
  t.match({ status, body }, { status: 404, body: { code: 'INSPECTION_OFF', error: /SHELLVISOR_INSPECT=1/ } });
});

t.test('whether a server is started for it is told with its readiness', async (t) => {
  t.match((await request('GET', '/manage/ready')).body, { inspect: true });
  const off = await startApp(t);
  t.match((await off.request('GET', '/manage/ready')).body, { inspect: false });
});

t.test('HEAD does not wait', async (t) => {
  t.equal((await fetch(`${address}/manage/inspect`, { method: 'HEAD' })).status, 200);
});
