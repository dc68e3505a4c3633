import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { startApp, type TestAppOptions } from '../helpers/app.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const DURABLE = '/api/v1/durables/commands';
const MiB = 1024 * 1024;

/** The application on a real port. */
async function startHttp(t: Test, options?: TestAppOptions) {
  const test = await startApp(t, options);
  const sockets: Socket[] = [];
  test.app.server.on('connection', (socket) => sockets.push(socket));
  const url = await test.app.listen({ host: '127.0.0.1', port: 0 });
  return {
    ...test,
    url,
    sockets,
    /** Asks for the output of a command. */
    output: (uuid: string, query = '', headers: Record<string, string> = {}, method = 'GET') =>
      fetch(`${url}/api/v1/commands/${uuid}/output${query}`, { headers, method }),
    /** Asks for it with a client that decides itself when it reads. */
    async slowly(uuid: string, query: string): Promise<IncomingMessage> {
      const [answer] = await once(get(`${url}/api/v1/commands/${uuid}/output${query}`, { agent: false }), 'response');
      t.teardown(() => answer.destroy());
      return answer;
    },
  };
}

const bytesOf = async (answer: Response) => Buffer.from(await answer.arrayBuffer());
const textOf = async (answer: Promise<Response>) => (await answer).text();

/** Reads on until a text has come. */
async function readUntil(answer: Response, wanted: string): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const reader = answer.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  const decoder = new TextDecoder();
  for (let text = ''; !text.includes(wanted); ) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the answer ended with ${text}`);
    text += decoder.decode(value, { stream: true });
  }
  return reader;
}

t.test('the output is the bytes as they were printed, NUL and invalid UTF-8 included', async (t) => {
  const { submit, reaches, output } = await startHttp(t);
  const file = join(temporaryFolder(t), 'bytes');
  const bytes = Buffer.concat([Buffer.from([0, 0xff, 0xfe, 0xc3, 0x28, 10, 0xef, 0xbb, 0xbf]), randomBytes(3 * MiB)]);
  writeFileSync(file, bytes);
  for (const path of ['/api/v1/commands', DURABLE]) {
    const uuid = await submit(`cat ${file}`, path);
    await reaches(uuid, 'EXECUTED');
    const answer = await output(uuid);
    t.equal(answer.status, 200);
    t.match(Object.fromEntries(answer.headers), {
      'content-type': 'text/plain; charset=utf-8',
      'x-content-type-options': 'nosniff',
      'accept-ranges': 'bytes',
      'content-length': `${bytes.length}`,
    });
    t.ok((await bytesOf(answer)).equals(bytes), path);
    const head = await output(uuid, '', {}, 'HEAD');
    t.equal(head.headers.get('content-length'), `${bytes.length}`, 'HEAD tells its length');
  }
});

t.test('one stream, the last lines, or the last lines of one stream', async (t) => {
  const { submit, reaches, output } = await startHttp(t);
  const say = (text: string) => `printf '${text}'; sleep 0.05`;
  const uuid = await submit(`${say('one\\ntwo\\n')}; { ${say('oops\\nagain\\n')}; } >&2; ${say('three\\nfour')}`);
  await reaches(uuid, 'EXECUTED');
  const whole = 'one\ntwo\noops\nagain\nthree\nfour';
  t.equal(await textOf(output(uuid)), whole);
  t.equal(await textOf(output(uuid, '?stream=stdout')), 'one\ntwo\nthree\nfour');
  t.equal(await textOf(output(uuid, '?stream=stderr')), 'oops\nagain\n');
  t.equal(await textOf(output(uuid, '?tail=0')), '');
  t.equal(await textOf(output(uuid, '?tail=1')), 'four');
  t.equal(await textOf(output(uuid, '?tail=3')), 'again\nthree\nfour');
  t.equal(await textOf(output(uuid, '?tail=6')), whole);
  t.equal(await textOf(output(uuid, '?tail=10000000')), whole);
  t.equal(await textOf(output(uuid, '?stream=stderr&tail=1')), 'again\n');
  t.equal(await textOf(output(uuid, '?stream=stdout&tail=3')), 'two\nthree\nfour');
  t.equal(await textOf(output(uuid, '?follow=true&tail=1')), 'four');

  const long = await submit('seq -w 100000');
  await reaches(long, 'EXECUTED');
  const lines = (await textOf(output(long))).split('\n');
  t.equal(await textOf(output(long, '?tail=70000')), lines.slice(-70001).join('\n'), 'over several parts');
});

t.test('a range of bytes is served, and one behind the end refused', async (t) => {
  const { submit, reaches, output } = await startHttp(t);
  const uuid = await submit('printf 0123456789');
  await reaches(uuid, 'EXECUTED');
  for (const [range, bytes, which] of [
    ['bytes=0-0', '0', '0-0'],
    ['bytes=2-4', '234', '2-4'],
    ['bytes=7-', '789', '7-9'],
    ['bytes=-3', '789', '7-9'],
    ['bytes=-30', '0123456789', '0-9'],
    ['bytes=8-1000', '89', '8-9'],
  ] as const) {
    const answer = await output(uuid, '', { range });
    t.equal(answer.status, 206, range);
    t.equal(answer.headers.get('content-range'), `bytes ${which}/10`, range);
    t.equal(await answer.text(), bytes, range);
  }
  for (const range of ['bytes=10-', 'bytes=10-20', 'bytes=-0']) {
    const answer = await output(uuid, '', { range });
    t.equal(answer.status, 416, range);
    t.equal(answer.headers.get('content-range'), 'bytes */10', range);
    t.match(await answer.json(), { code: 'RANGE_NOT_SATISFIABLE' }, range);
  }
  const ignored: [Record<string, string>, string][] = [
    [{ range: 'lines=0-1' }, ''],
    [{ range: 'bytes=4-2' }, ''],
    [{ range: 'bytes=-' }, ''],
    [{ range: 'bytes=0-1,3-4' }, ''],
    [{ range: 'bytes=0-1', 'if-range': '"other"' }, ''],
    [{ range: 'bytes=0-1' }, '?follow=true'],
    [{ range: 'bytes=0-1' }, '?stream=stdout'],
    [{ range: 'bytes=0-1' }, '?tail=5'],
  ];
  for (const [headers, query] of ignored) {
    const answer = await output(uuid, query, headers);
    t.equal(answer.status, 200, `${headers.range} ${query}`);
    t.equal(await answer.text(), '0123456789', `${headers.range} ${query}`);
  }
});

t.test('bad requests and unknown commands are refused', async (t) => {
  const { submit, output } = await startHttp(t);
  const uuid = await submit('true');
  for (const query of ['?stream=both', '?tail=-1', '?tail=1.5', '?tail=', '?tail=10000001', '?follow=yes', '?x=1']) {
    const answer = await output(uuid, query);
    t.equal(answer.status, 400, query);
    t.match(await answer.json(), { code: 'INVALID_REQUEST' }, query);
  }
  for (const unknown of ['11111111-2222-4333-8444-555555555555', 'no-uuid']) {
    const answer = await output(unknown, '?follow=true');
    t.equal(answer.status, 404, unknown);
    t.match(await answer.json(), { code: 'COMMAND_NOT_FOUND' }, unknown);
  }
});

t.test('where the middle was dropped a line says so, and ranges are not served', async (t) => {
  const { submit, reaches, output } = await startHttp(t, { outputLimitBytes: 2000 });
  const uuid = await submit('seq -w 10000');
  await reaches(uuid, 'EXECUTED');
  const printed = Array.from({ length: 10_000 }, (_, i) => `${String(i + 1).padStart(5, '0')}\n`).join('');
  const expected = `${printed.slice(0, 1000)}\n[… 58000 bytes dropped …]\n${printed.slice(-1000)}`;
  t.equal(await textOf(output(uuid)), expected);
  t.equal(await textOf(output(uuid, '?follow=true')), expected);
  t.equal(await textOf(output(uuid, '?tail=2')), '09999\n10000\n');
  t.equal(await textOf(output(uuid, '?tail=200')), expected.slice(expected.indexOf('00134')), 'lines over the gap');
  const answer = await output(uuid, '', { range: 'bytes=0-9' });
  t.equal(answer.status, 200);
  t.equal(await answer.text(), expected);
});

t.test('a durable command is followed line by line until it ends', async (t) => {
  const { submit, reaches, output } = await startHttp(t);
  const gate = join(temporaryFolder(t), 'gate');
  const uuid = await submit(`for i in 1 2 3; do until [ -e ${gate}$i ]; do sleep 0.01; done; echo $i; done`, DURABLE);
  const answer = await output(uuid, '?follow=true');
  t.equal(answer.headers.get('x-accel-buffering'), 'no', 'the headers come before anything is printed');
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (const i of [1, 2, 3]) {
    writeFileSync(`${gate}${i}`, '');
    t.same(await reader?.read(), { value: `${i}\n`, done: false });
  }
  t.same(await reader?.read(), { value: undefined, done: true });
  t.equal((await reaches(uuid, 'EXECUTED')).output, '1\n2\n3\n');
  t.equal(await textOf(output(uuid, '?follow=true')), '1\n2\n3\n', 'one that has ended is sent at once');
});

t.test(
  'who follows a regular command gets all of it at its end, and one that waits when it had its turn',
  async (t) => {
    const { submit, output } = await startHttp(t, { maxParallel: 1 });
    const gate = join(temporaryFolder(t), 'gate');
    const first = await submit(`echo one; until [ -e ${gate} ]; do sleep 0.01; done; echo two`);
    const second = await submit('echo three');
    const followers = [first, second].map((uuid) => output(uuid, '?follow=true'));
    const [answer] = await Promise.all(followers);
    t.equal(answer?.status, 200);
    t.equal(await textOf(output(first)), '');
    writeFileSync(gate, '');
    t.same(await Promise.all(followers.map(textOf)), ['one\ntwo\n', 'three\n']);
  },
);

t.test('a follower that reads slowly misses nothing of a loud command, and holds little memory', async (t) => {
  const { submit, slowly, changes } = await startHttp(t, { outputLimitBytes: 200 * MiB });
  const side = join(temporaryFolder(t), 'side');
  const uuid = await submit(`head -c ${40 * MiB} /dev/urandom | tee ${side}; echo done > ${side}.done`, DURABLE);
  const slow = await slowly(uuid, '?follow=true');
  await until('all is printed', () => existsSync(`${side}.done`));
  t.equal(changes.size, 1);
  t.ok((slow.socket.bytesRead ?? 0) < 20 * MiB, 'the server has not sent it all into some memory');
  const hash = createHash('sha256');
  for await (const chunk of slow) hash.update(chunk);
  t.equal(hash.digest('hex'), createHash('sha256').update(readFileSync(side)).digest('hex'));
  await until('nobody looks out any more', () => changes.size === 0);
});

t.test('a command is followed that runs under another server on the same database', async (t) => {
  const { submit, database, output, reaches } = await startHttp(t);
  const uuid = await submit('sleep 1000', DURABLE);
  await reaches(uuid, 'EXECUTING');
  const answer = await output(uuid, '?follow=true');
  await database.rows(`INSERT INTO command_output SELECT id, 0, 1, 'elsewhere' FROM commands WHERE command_uuid = $1`, [
    uuid,
  ]);
  await readUntil(answer, 'elsewhere');
});

t.test('a follower waits while the database does not answer, and misses nothing', async (t) => {
  const { submit, output, database, request } = await startHttp(t);
  const gate = join(temporaryFolder(t), 'gate');
  const uuid = await submit(`echo a; until [ -e ${gate} ]; do sleep 0.01; done; echo b`, DURABLE);
  const follower = await readUntil(await output(uuid, '?follow=true'), 'a');
  await database.rows('BEGIN; LOCK TABLE commands');
  const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%printed.places%'`;
  await until('the follower looks in vain', async () => (await database.rows(waiting)).length > 0);
  // Asked later than that, so refused later too.
  const refused = await Promise.all([request('GET', `/api/v1/commands/${uuid}`), output(uuid)]);
  for (const { status } of refused) t.equal(status, 503);
  writeFileSync(gate, '');
  await database.rows('COMMIT');
  t.equal(Buffer.from((await follower.read()).value ?? []).toString(), 'b\n');
  t.equal((await follower.read()).done, true);
});

t.test('clients that go away leave nothing behind', async (t) => {
  const { submit, slowly, output, changes, sockets, request } = await startHttp(t);
  const silent = await submit('sleep 1000', DURABLE);
  const loud = await submit('yes | head -c 9000000; sleep 1000', DURABLE);
  for (const uuid of [silent, loud]) {
    const answers = await Promise.all([1, 2, 3].map(() => slowly(uuid, '?follow=true')));
    await until('all look out', () => changes.size === 3);
    for (const answer of answers) answer.destroy();
    await until('nobody looks out any more', () => changes.size === 0);
  }
  t.equal((await output(silent, '?follow=true', {}, 'HEAD')).status, 200, 'HEAD does not wait');
  await until('every connection is closed', () =>
    sockets.every((socket) => socket.destroyed || socket.bytesRead === 0),
  );
  t.equal((await request('GET', `/api/v1/commands/${silent}`)).body.status, 'EXECUTING');
});

t.test('a client that takes nothing is cut off in the end, one that has nothing to take is not', async (t) => {
  const { submit, slowly, output, sockets, changes } = await startHttp(t);
  const gate = join(temporaryFolder(t), 'gate');
  const silent = await submit(`echo a; until [ -e ${gate} ]; do sleep 0.01; done; echo b`, DURABLE);
  const follower = await output(silent, '?follow=true');
  const patient = await readUntil(follower, 'a');
  const idle = sockets.at(-1);
  const loud = await submit('head -c 9000000 /dev/zero; sleep 1000', DURABLE);
  await slowly(loud, '?follow=true');
  const stuck = sockets.at(-1);
  await until('its connection takes no more', () => (stuck?.writableLength ?? 0) > 0);
  await turn();
  // What Node says after the time in which nothing of what waits was taken.
  for (const socket of [idle, stuck]) socket?.emit('timeout');
  await until('it is cut off', () => stuck?.destroyed);
  await until('it does not look out any more', () => changes.size === 1);
  writeFileSync(gate, '');
  const { value } = await patient.read();
  t.equal(Buffer.from(value ?? []).toString(), 'b\n');
});

t.test('a follower of a deleted command, and one at the end of the server, sees its connection break', async (t) => {
  const { submit, output, database, app } = await startHttp(t);
  const uuid = await submit('echo a; sleep 1000', DURABLE);
  const other = await submit('echo a; sleep 1000', DURABLE);
  const [first, second] = await Promise.all([uuid, other].map((uuid) => output(uuid, '?follow=true')));
  const deleted = await readUntil(first as Response, 'a');
  const left = await readUntil(second as Response, 'a');
  const broken = t.rejects(deleted.read(), 'nor does a deletion');
  // Through the API it would be stopped first, and might be seen to end before it is gone.
  await database.rows('DELETE FROM commands WHERE command_uuid = $1', [uuid]);
  await broken;
  const cut = t.rejects(left.read(), 'it does not look like the end of the output');
  await app.close();
  await cut;
});
