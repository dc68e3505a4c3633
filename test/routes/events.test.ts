import { once } from 'node:events';
import { get } from 'node:http';
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { startApp } from '../helpers/app.ts';
import { eventsOf, nextEvents, type ServerEvent, withoutOpen } from '../helpers/events.ts';
import { until } from '../helpers/until.ts';

const test = await startApp(t);
const { app, submit, reaches, request, changes, database } = test;
const sockets: Socket[] = [];
app.server.on('connection', (socket) => sockets.push(socket));
const url = `${await app.listen({ host: '127.0.0.1', port: 0 })}/api/v1/events`;

const follow = async (t: Test, lastId?: string) => {
  const cut = new AbortController();
  t.teardown(() => cut.abort());
  const answer = await fetch(url, {
    signal: cut.signal,
    ...(lastId !== undefined && { headers: { 'last-event-id': lastId } }),
  });
  return { answer, events: eventsOf(answer), cut: () => cut.abort() };
};
const comparable = (event: ServerEvent) => ({ ...event, id: withoutOpen(event.id) });
const brief = ({ event, data }: ServerEvent) => [event, data.command_uuid, data.status];

t.test('all that becomes of commands is told, and who comes again goes on where he was', async (t) => {
  const { answer, events } = await follow(t);
  t.equal(answer.status, 200);
  t.match(Object.fromEntries(answer.headers), {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  const [start] = await nextEvents(events, 1);
  t.match(start, { event: 'start', id: String, data: {} });
  const first = await submit('exit 3');
  const second = await submit('true', '/api/v1/durables/commands');
  const [{ created_at: at }] = await Promise.all([reaches(first, 'FAILED'), reaches(second, 'EXECUTED')]);
  await request('DELETE', `/api/v1/commands/${first}`);
  const found = await nextEvents(events, 7);
  const of = (uuid: string) => found.filter(({ data }) => data.command_uuid === uuid).map(brief);
  t.same(of(first), [
    ['created', first, 'QUEUED'],
    ['status', first, 'EXECUTING'],
    ['status', first, 'FAILED'],
    ['deleted', first, undefined],
  ]);
  t.same(of(second), [
    ['created', second, 'QUEUED'],
    ['status', second, 'EXECUTING'],
    ['status', second, 'EXECUTED'],
  ]);
  t.equal(found.find(({ event, data }) => event === 'created' && data.command_uuid === first)?.data.at, at);
  for (const [i, { id }] of [start as ServerEvent, ...found.slice(0, -1)].entries()) {
    const again = await follow(t, id);
    t.same((await nextEvents(again.events, 7 - i)).map(comparable), found.slice(i).map(comparable), `after ${id}`);
    again.cut();
  }
});

t.test('who comes from before what is kept is told to look anew', async (t) => {
  await database.rows(`UPDATE command_events_trimmed SET up_to = pg_current_xact_id()`);
  const { events } = await follow(t, '5.4.1');
  t.match(await nextEvents(events, 1), [{ event: 'reset', data: {} }]);
  const uuid = await submit('true');
  t.same((await nextEvents(events, 1)).map(brief), [['created', uuid, 'QUEUED']]);
});

t.test('what is no id is refused', async (t) => {
  for (const id of ['x', '-1', '1.', '.1', '1..2', '9'.repeat(16)]) {
    for (const answer of [await fetch(`${url}?from=${id}`), (await follow(t, id)).answer]) {
      t.equal(answer.status, 400, id);
      t.match(await answer.json(), { code: 'INVALID_REQUEST', error: /must be the id of an event/ });
    }
  }
  t.equal((await fetch(`${url}?uuid=1`)).status, 400);
  t.equal((await fetch(url, { method: 'HEAD' })).status, 200, 'HEAD does not wait');
});

t.test('a client that takes nothing is cut off in the end, and holds nothing up', async (t) => {
  const stuck = await once(get(url, { agent: false }), 'response').then(([answer]) => answer);
  t.teardown(() => stuck.destroy());
  const socket = sockets.at(-1) as Socket;
  const { events } = await follow(t);
  await nextEvents(events, 1);
  // Many, since the two sockets take some MiB.
  let total = 0;
  await until('its connection takes no more', async () => {
    await database.rows(
      `INSERT INTO command_events (command_uuid, status, at)
       SELECT gen_random_uuid(), 'QUEUED', now() FROM generate_series(1, 10000)`,
    );
    total += 10_000;
    await nextEvents(events, 10_000);
    return socket.writableLength > 0;
  });
  t.ok(total > 0);
  await turn();
  // What Node says after the time in which nothing of what waits was taken.
  socket.emit('timeout');
  await until('it is cut off', () => socket.destroyed);
});

t.test('at the end of the server the connection breaks, and nobody looks out any more', async (t) => {
  const { events } = await follow(t);
  await nextEvents(events, 1);
  const broken = t.rejects(Array.fromAsync(events));
  await app.close();
  await broken;
  await until('nobody looks out', () => changes.size === 0);
});
