/** Clients that take much of what a server has little of: time, connections, streams, memory. */
import { once } from 'node:events';
import t from 'tap';
import { type Connection, startTarget, type Target } from '../helpers/attack.ts';
import { until } from '../helpers/until.ts';

/** Bounds in ms under which a test needs no patience. */
const QUICK = { headersMs: 300, requestMs: 600, checkMs: 50 };
/** From one byte of a slow client to the next, in ms. */
const DRIP_MS = 20;
const MIB = 1024 * 1024;
const JSON_TYPE = 'Content-Type: application/json';

/** Sends one byte after the other until the connection is closed. */
function drip({ socket }: Connection, bytes: string): void {
  let sent = 0;
  const timer = setInterval(() => socket.write(bytes[sent++ % bytes.length] as string), DRIP_MS);
  socket.once('close', () => clearInterval(timer));
}

t.test('who is slow to send a request is told so, and cut off', async (t) => {
  const target = await startTarget(t, { limits: QUICK });
  const { head, post, payload, open, unharmed } = target;
  const body = head('POST /api/v1/commands HTTP/1.1', JSON_TYPE, 'Content-Length: 100000');
  const chunks = head('POST /api/v1/commands HTTP/1.1', JSON_TYPE, 'Transfer-Encoding: chunked');
  const start = 'POST /api/v1/commands HTTP/1.1\r\n';
  const rows: [what: string, atOnce: string, slowly: string][] = [
    ['nothing at all', '', ''],
    ['half a line', 'GE', ''],
    ['headers without an end', start, 'X: y\r\n'],
    ['a header without an end', `${start}X: `, 'y'],
    ['a body byte by byte', body, payload],
    ['a body that stops', body + payload, ''],
    ['chunks byte by byte', chunks, '1\r\nx\r\n'],
    ['the length of a chunk without an end', chunks, '0'],
    ['trailers without an end', `${chunks}0\r\n`, 'X: y\r\n'],
    ['the second request of a connection', head('GET /manage/health HTTP/1.1'), post([JSON_TYPE]).slice(0, 20)],
  ];
  const attacks = await Promise.all(rows.map(([, atOnce]) => open(atOnce, true)));
  for (const [i, [, , slowly]] of rows.entries()) if (slowly !== '') drip(attacks[i] as Connection, slowly);
  for (const [i, [what]] of rows.entries()) {
    const { socket, answers } = attacks[i] as Connection;
    await until(`the connection with ${what} is closed`, () => socket.closed, 15_000);
    t.match(answers().text, /HTTP\/1\.1 408 .*"code":"REQUEST_TIMEOUT"\}$/s, what);
  }
  await unharmed('slow requests');
});

t.test('more connections than may be are closed at once, and those that are open go on', async (t) => {
  const { head, open, app, unharmed } = await startTarget(t, { limits: { maxConnections: 10 } });
  const health = head('GET /manage/health HTTP/1.1');
  const first = await Promise.all(Array.from({ length: 10 }, () => open(health, true)));
  await until('ten are answered', () => first.every(({ answers }) => answers().statuses === '200'));
  const others = await Promise.all(Array.from({ length: 50 }, () => open(health, true)));
  for (const { closed, answers } of others) {
    await closed;
    t.equal(answers().text, '', 'closed without an answer');
  }
  const [one, ...rest] = first as [Connection, ...Connection[]];
  one.socket.write(health);
  await until('one that is open is answered again', () => one.answers().statuses === '200 200');
  for (const { socket } of rest) socket.destroy();
  await until(
    'there is room again',
    () => new Promise((resolve) => app.server.getConnections((_, n) => resolve(n === 1))),
  );
  await unharmed('a flood of connections');
});

t.test('a client has only so many streams and waits open, and new ones when it ends some', async (t) => {
  const { head, open, send, request, submit, reaches, unharmed } = await startTarget(t, { limits: { maxStreams: 4 } });
  const uuid = await submit('sleep 1000', '/api/v1/durables/commands');
  await reaches(uuid, 'EXECUTING');
  const path = `/api/v1/commands/${uuid}`;
  const streams = [
    head('GET /api/v1/events HTTP/1.1'),
    head(`GET ${path}/output?follow=true HTTP/1.1`),
    head(`GET ${path}/output HTTP/1.1`, 'Accept: text/event-stream'),
    head(`GET ${path}?wait=300 HTTP/1.1`),
  ];
  const body = JSON.stringify({ script: 'sleep 1000' });
  const creation = (headers: string[], query = '') =>
    head(`POST /api/v1/commands${query} HTTP/1.1`, JSON_TYPE, `Content-Length: ${body.length}`, ...headers) + body;
  const refused = [
    ...streams,
    head(`GET ${path}/output HTTP/1.1`),
    head(`GET ${path} HTTP/1.1`, 'Prefer: wait=10'),
    creation([], '?wait=1'),
    creation(['Prefer: wait=1']),
    head(`POST ${path}/rerun?wait=1 HTTP/1.1`, 'Content-Length: 0'),
  ];
  const opened = await Promise.all(streams.map((bytes) => open(bytes, true)));
  // The wait shows nothing until it ends: it counts when others are refused.
  await until('all four count', async () => (await send(streams[0] as string)).statuses.startsWith('429'));
  for (const bytes of refused) {
    const { statuses, text } = await send(bytes);
    const [line = ''] = bytes.split('\r\n');
    t.equal(statuses, '429 200', line);
    t.match(text, /retry-after: 1\r\n.*"code":"TOO_MANY_STREAMS"/is, line);
  }
  t.equal((await request('GET', '/api/v1/commands')).body.length, 1, 'nothing was created');
  t.equal((await request('GET', path)).status, 200, 'what does not last is answered');

  for (const { socket } of opened) socket.destroy();
  await until(
    'there is room again',
    async () => (await send(head(`GET ${path}/output HTTP/1.1`))).statuses === '200 200',
  );
  t.equal((await send(head(`GET ${path}?wait=1 HTTP/1.1`))).statuses, '200 200');
  await request('DELETE', path);
  await unharmed('a flood of streams');
});

t.test('a connection with too many requests without an answer is cut, and holds nobody up', async (t) => {
  const { head, open, submit, request, unharmed } = await startTarget(t);
  const uuid = await submit('exit 0');
  for (const [what, line] of [
    ['health', 'GET /manage/health HTTP/1.1'],
    ['lists', 'GET /api/v1/commands?limit=1000 HTTP/1.1'],
    ['waits', `GET /api/v1/commands/${uuid}?wait=300 HTTP/1.1`],
  ] as const) {
    const flooding = await open(head(line).repeat(10_000));
    await flooding.closed;
    t.pass(`10,000 times ${what}: cut`);
  }
  const { answers } = await open(head('GET /manage/health HTTP/1.1').repeat(100), true);
  await until('a hundred are answered', () => answers().statuses.split(' ').length === 100);
  await request('DELETE', `/api/v1/commands/${uuid}`);
  await unharmed('pipelined requests');
});

/** Sends a request with a large body of which the last byte is missing. */
async function unfinished({ head, open }: Target): Promise<Connection> {
  const connection = await open(head('POST /api/v1/commands HTTP/1.1', JSON_TYPE, `Content-Length: ${MIB + 1}`), true);
  connection.socket.write('x'.repeat(MIB));
  return connection;
}

t.test('large bodies take only so much memory together, and small ones pass all the same', async (t) => {
  const target = await startTarget(t, { limits: { maxHeldBytes: 4 * MIB } });
  const { request, send, post, unharmed } = target;
  const bodies = await Promise.all(Array.from({ length: 20 }, () => unfinished(target)));
  const large = { script: 'x'.repeat(MIB), nonsense: true };
  const refused = await until('others are refused', async () => {
    const answer = await request('POST', '/api/v1/commands', large);
    return answer.status === 503 && answer;
  });
  t.match(refused, { headers: { 'retry-after': 1 }, body: { code: 'OVERLOADED', error: /try again later$/ } });
  t.match(await request('POST', '/api/v1/commands', { nonsense: true }), { status: 400 }, 'a small one');
  t.equal((await send(post([JSON_TYPE], JSON.stringify(large)))).statuses, '503', 'answered when all of it is read');
  for (const { socket } of bodies) socket.destroy();
  await until('there is room again', async () => (await request('POST', '/api/v1/commands', large)).status === 400);
  await unharmed('large bodies');
});

t.test('large answers that are not read take only so much memory together', async (t) => {
  const { head, open, request, submit, reaches, unharmed } = await startTarget(t, {
    limits: { maxHeldBytes: 8 * MIB },
  });
  // More than the sockets of both sides take.
  const uuid = await submit(`head -c ${6 * MIB} /dev/zero | tr '\\0' x`);
  await reaches(uuid, 'EXECUTED');
  const path = `/api/v1/commands/${uuid}`;
  const unread = await open(head(`GET ${path} HTTP/1.1`));
  await once(unread.socket.resume(), 'data');
  unread.socket.pause();
  const refused = await request('GET', path);
  t.match(refused, { status: 503, headers: { 'retry-after': 1 }, body: { code: 'OVERLOADED' } });
  t.match(await request('GET', `${path}?output=false`), { status: 200 }, 'a small one');
  unread.socket.destroy();
  await until('there is room again', async () => (await request('GET', path)).status === 200);
  await request('DELETE', path);
  await unharmed('large answers');
});
