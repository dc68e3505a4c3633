import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startApp } from '../helpers/app.ts';
import { allEvents, eventsOf, nextEvents, type ServerEvent } from '../helpers/events.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const COMMANDS = '/api/v1/commands';
const test = await startApp(t);
const { app, submit, reaches, request } = test;
const url = await app.listen({ host: '127.0.0.1', port: 0 });
const folder = temporaryFolder(t);
const untilOpen = (gate: string) => `until [ -e '${join(folder, gate)}' ]; do sleep 0.01; done`;
const open = (gate: string) => writeFileSync(join(folder, gate), '');

const follow = async (t: Test, path: string, lastId?: string) => {
  const cut = new AbortController();
  t.teardown(() => cut.abort());
  const headers = { accept: 'text/event-stream', ...(lastId !== undefined && { 'last-event-id': lastId }) };
  return eventsOf(await fetch(url + path, { signal: cut.signal, headers }));
};
const tells = (uuid: string, percent: number) =>
  until(`${uuid} is at ${percent}`, async () => {
    const { body } = await request('GET', `${COMMANDS}/${uuid}`);
    return body.progress?.percent === percent && body;
  });

t.test(
  'a command shows the latest that it has told, also when it has ended, and null when it has told nothing',
  async (t) => {
    const script = `echo "12.5 unpacking größe" >&$SHELLVISOR_PROGRESS_FD; ${untilOpen('shown')}; echo 100 >&3`;
    const uuid = await submit(script);
    const silent = await submit('echo 50');
    const progress = { percent: 12.5, text: 'unpacking größe' };
    t.match(await tells(uuid, 12.5), { status: 'EXECUTING', progress, output: '', output_bytes: 0 });
    await reaches(silent, 'EXECUTED');
    const { body: list } = await request('GET', `${COMMANDS}?fields=command_uuid,progress`);
    t.same(list, [
      { command_uuid: silent, progress: null },
      { command_uuid: uuid, progress },
    ]);
    const tag = (await request('GET', `${COMMANDS}/${uuid}`)).headers.etag;
    t.ok(tag);
    open('shown');
    t.match(await reaches(uuid, 'EXECUTED'), { progress: { percent: 100, text: '' }, output: '' });
  },
);

t.test('its ETag changes with its progress', async (t) => {
  const uuid = await submit(`echo 1 >&3; ${untilOpen('tagged')}; echo 2 >&3; ${untilOpen('end of tagged')}`);
  await tells(uuid, 1);
  const ask = (tag: unknown) =>
    app.inject({ method: 'GET', url: `${COMMANDS}/${uuid}`, headers: { 'if-none-match': `${tag}` } });
  const { etag } = (await ask('none')).headers;
  t.equal((await ask(etag)).statusCode, 304);
  open('tagged');
  await tells(uuid, 2);
  t.equal((await ask(etag)).statusCode, 200);
  open('end of tagged');
});

t.test('who follows it as events hears of it at first and whenever it changes, before its end', async (t) => {
  for (const path of [COMMANDS, '/api/v1/durables/commands']) {
    const name = path === COMMANDS ? 'regular' : 'durable';
    const gates = ['a', 'b', 'end'].map((gate) => `${gate} of ${name}`) as [string, string, string];
    const uuid = await submit(
      `${untilOpen(gates[0])}; echo 10 >&3; ${untilOpen(gates[1])}; echo "20 more" >&3; ${untilOpen(gates[2])}; echo 99 >&3`,
      path,
    );
    await reaches(uuid, 'EXECUTING');
    const events = await follow(t, `${COMMANDS}/${uuid}/output`);
    const status = { event: 'status', id: '0', data: { status: 'EXECUTING' } };
    const told = (percent: number, text = '') => ({ event: 'progress', id: '0', data: { percent, text } });
    t.same(await nextEvents(events, 1), [status]);
    open(gates[0]);
    t.same(await nextEvents(events, 1), [told(10)]);
    open(gates[1]);
    t.same(await nextEvents(events, 1), [told(20, 'more')]);
    const late = await follow(t, `${COMMANDS}/${uuid}/output`);
    t.same(await nextEvents(late, 2), [status, told(20, 'more')], 'who comes later knows at once');
    open(gates[2]);
    const rest: ServerEvent[] = await Array.fromAsync(events);
    t.same(rest.slice(0, 2), [told(99), { event: 'status', id: '0', data: { status: 'EXECUTED' } }]);
    t.match(rest.slice(2), [{ event: 'end', id: '1', data: { status: 'EXECUTED' } }]);
    const again = await fetch(`${url}${COMMANDS}/${uuid}/output`, { headers: { accept: 'text/event-stream' } });
    t.same(
      (await allEvents(again)).map(({ event, data }) => [event, data.percent ?? data.status]),
      [
        ['status', 'EXECUTED'],
        ['progress', 99],
        ['end', 'EXECUTED'],
      ],
    );
  }
});

t.test('who follows all commands hears of it, and comes again without a gap', async (t) => {
  const events = await follow(t, '/api/v1/events');
  await nextEvents(events, 1);
  const uuid = await submit(`echo "5 begun" >&3; ${untilOpen('of all')}; echo "95 nearly" >&3`);
  await tells(uuid, 5);
  open('of all');
  const { ended_at } = await reaches(uuid, 'EXECUTED');
  const ours: ServerEvent[] = [];
  while (ours.at(-1)?.data.status !== 'EXECUTED') {
    const [event] = await nextEvents(events, 1);
    if (event?.data.command_uuid === uuid) ours.push(event);
  }
  t.match(
    ours.map(({ event, data }) => [event, data]),
    [
      ['created', { status: 'QUEUED' }],
      ['status', { status: 'EXECUTING' }],
      ['progress', { command_uuid: uuid, percent: 5, text: 'begun', at: String }],
      ['progress', { command_uuid: uuid, percent: 95, text: 'nearly', at: String }],
      ['status', { status: 'EXECUTED', at: ended_at }],
    ],
  );
  t.equal(ours.length, 5);
  t.notOk('status' in (ours[2]?.data ?? {}));
  const again = await follow(t, '/api/v1/events', ours[2]?.id);
  t.match(
    await nextEvents(again, 2),
    ours.slice(3).map(({ event, data }) => ({ event, data })),
  );
});
