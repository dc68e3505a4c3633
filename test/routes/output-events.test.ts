import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { OutputPart } from '../../src/ports/reader.ts';
import { outputEvents } from '../../src/routes/output-events.ts';
import { startApp, type TestAppOptions } from '../helpers/app.ts';
import { allEvents, eventsOf, nextEvents, printedBy, type ServerEvent } from '../helpers/events.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const DURABLE = '/api/v1/durables/commands';

/** The application on a real port. */
async function startHttp(t: Test, options?: TestAppOptions) {
  const test = await startApp(t, options);
  const url = await test.app.listen({ host: '127.0.0.1', port: 0 });
  return {
    ...test,
    /** Asks for the output of a command as events. */
    follow: (
      uuid: string,
      { query = '', lastId = '', signal }: { query?: string; lastId?: string; signal?: AbortSignal } = {},
    ) =>
      fetch(`${url}/api/v1/commands/${uuid}/output${query}`, {
        headers: { accept: 'text/event-stream', ...(lastId !== '' && { 'last-event-id': lastId }) },
        ...(signal !== undefined && { signal }),
      }),
  };
}

const brief = ({ event, id, data }: ServerEvent) => [event, id, data.text ?? data.base64 ?? data.status ?? data.bytes];

t.test('a durable command is followed event by event, from its place in the queue to its outcome', async (t) => {
  const { submit, follow } = await startHttp(t, { maxParallel: 1 });
  const gate = join(temporaryFolder(t), 'gate');
  const wait = (name: string) => `until [ -e ${gate}.${name} ]; do sleep 0.01; done`;
  await submit(wait('turn'));
  const uuid = await submit(`${wait('a')}; echo a; ${wait('b')}; echo b >&2; ${wait('end')}; exit 3`, DURABLE);
  const answer = await follow(uuid);
  t.equal(answer.status, 200);
  t.match(Object.fromEntries(answer.headers), {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    vary: 'accept',
  });
  const events = eventsOf(answer);
  t.same(await nextEvents(events, 1), [{ event: 'status', id: '0', data: { status: 'QUEUED' } }]);
  writeFileSync(`${gate}.turn`, '');
  t.same(await nextEvents(events, 1), [{ event: 'status', id: '0', data: { status: 'EXECUTING' } }]);
  writeFileSync(`${gate}.a`, '');
  t.same(await nextEvents(events, 1), [
    { event: 'output', id: '2', data: { stream: 'stdout', offset: 0, text: 'a\n' } },
  ]);
  writeFileSync(`${gate}.b`, '');
  t.same(await nextEvents(events, 1), [
    { event: 'output', id: '4', data: { stream: 'stderr', offset: 2, text: 'b\n' } },
  ]);
  writeFileSync(`${gate}.end`, '');
  t.same(await nextEvents(events, 1), [{ event: 'status', id: '4', data: { status: 'FAILED' } }]);
  const [end] = await nextEvents(events, 1);
  t.match(end, {
    event: 'end',
    id: '5',
    data: { status: 'FAILED', reason: 'exit', exit_code: 3, signal: null, output_bytes: 4, output_truncated: false },
  });
  t.same(await events.next(), { value: undefined, done: true }, 'and then it is over');
});

t.test('a regular command tells its status, and all of its output at its end', async (t) => {
  const { submit, follow, reaches } = await startHttp(t);
  const gate = join(temporaryFolder(t), 'gate');
  const uuid = await submit(`echo a; until [ -e ${gate} ]; do sleep 0.01; done; echo b`);
  await reaches(uuid, 'EXECUTING');
  const events = eventsOf(await follow(uuid));
  t.same((await nextEvents(events, 1)).map(brief), [['status', '0', 'EXECUTING']]);
  writeFileSync(gate, '');
  const rest = await Array.fromAsync(events);
  t.equal(`${printedBy(rest)}`, 'a\nb\n');
  t.same(rest.filter(({ event }) => event !== 'output').map(brief), [
    ['status', '0', 'EXECUTED'],
    ['end', '5', 'EXECUTED'],
  ]);
});

t.test('who wants the steps of a command is told all of them, whenever there are more', async (t) => {
  const { submit, follow } = await startHttp(t);
  const gate = join(temporaryFolder(t), 'gate');
  const uuid = await submit(`until [ -e ${gate} ]; do sleep 0.01; done; echo a`);
  const events = eventsOf(await follow(uuid, { query: '?steps=true' }));
  const seen: ServerEvent[] = [];
  const pathOf = ({ data }: ServerEvent) => data.steps.map(({ to }: { to: string }) => to);
  const path = ['queued', 'executing.starting', 'executing.running', 'storing', 'executed'];
  for await (const event of events) {
    seen.push(event);
    if (event.event === 'steps' && event.data.steps.length === 3) writeFileSync(gate, '');
  }
  const steps = seen.filter(({ event }) => event === 'steps');
  t.same(pathOf(steps.at(-1) as ServerEvent), path);
  t.match(steps.at(-1)?.data.steps[2], {
    from: 'executing.starting',
    event: 'process.started',
    to: 'executing.running',
  });
  const lengths = steps.map(({ data }) => data.steps.length);
  t.same(lengths, [...new Set(lengths)].sort(), 'each time there are more');
  t.ok(lengths.includes(3), 'they are told while it runs');
  t.equal(seen.at(-1)?.event, 'end');
  t.same(
    seen.filter(({ event }) => event === 'output').map(({ data }) => data.text),
    ['a\n'],
  );
  const again = await allEvents(follow(uuid, { query: '?steps=true', lastId: '2' }));
  t.same(
    again.map(({ event }) => event),
    ['status', 'steps', 'end'],
  );
  t.same(pathOf(again[1] as ServerEvent), path);
  t.equal((await follow(uuid, { query: '?steps=yes' })).status, 400);
});

t.test('who comes again goes on where he was; only who has seen the end gets 204', async (t) => {
  const { submit, follow, reaches } = await startHttp(t);
  const uuid = await submit('echo abc');
  await reaches(uuid, 'EXECUTED');
  const whole = (await allEvents(follow(uuid))).map(brief);
  t.same(whole, [
    ['status', '0', 'EXECUTED'],
    ['output', '4', 'abc\n'],
    ['end', '5', 'EXECUTED'],
  ]);
  t.same((await allEvents(follow(uuid, { lastId: '1' }))).map(brief), [
    ['status', '1', 'EXECUTED'],
    ['output', '4', 'bc\n'],
    ['end', '5', 'EXECUTED'],
  ]);
  t.same((await allEvents(follow(uuid, { lastId: '4' }))).map(brief), [
    ['status', '4', 'EXECUTED'],
    ['end', '5', 'EXECUTED'],
  ]);
  t.same(await allEvents(follow(uuid, { query: '?from=1' })), await allEvents(follow(uuid, { lastId: '1' })));
  t.same(
    await allEvents(follow(uuid, { query: '?from=1', lastId: '3' })),
    await allEvents(follow(uuid, { lastId: '3' })),
    'the header is the newer one',
  );
  for (const lastId of ['5', '6']) t.equal((await follow(uuid, { lastId })).status, 204, lastId);

  const silent = await submit('true');
  await reaches(silent, 'EXECUTED');
  t.same((await allEvents(follow(silent))).map(brief), [
    ['status', '0', 'EXECUTED'],
    ['end', '1', 'EXECUTED'],
  ]);
  t.equal((await follow(silent, { lastId: '1' })).status, 204);
});

t.test('one stream, or the last lines; places count in all that was printed', async (t) => {
  const { submit, follow, reaches } = await startHttp(t);
  const uuid = await submit('echo a; sleep 0.1; echo b >&2; sleep 0.1; echo c');
  await reaches(uuid, 'EXECUTED');
  const outputs = async (query: string) =>
    (await allEvents(follow(uuid, { query }))).filter(({ event }) => event === 'output').map(brief);
  t.same(await outputs('?stream=stdout'), [
    ['output', '2', 'a\n'],
    ['output', '6', 'c\n'],
  ]);
  t.same(await outputs('?stream=stderr'), [['output', '4', 'b\n']]);
  t.same(await outputs('?tail=1'), [['output', '6', 'c\n']]);
  t.same(await outputs('?tail=0'), []);
});

t.test(
  'characters that chunks or the other stream cut in two stay whole; what is not UTF-8 comes as base64',
  async (t) => {
    const { submit, follow, reaches } = await startHttp(t);
    const uuid = await submit(
      `p() { printf "$1"; sleep 0.1; }; p 'a\\xe2'; p 'b' >&2; p '\\x82'; p 'c' >&2; p '\\xacd'; p '\\xff\\0' >&2; p 'e\\xf0\\x9f'; p '\\xc3' >&2`,
      DURABLE,
    );
    await reaches(uuid, 'EXECUTED');
    const events = await allEvents(follow(uuid));
    t.same(events.map(brief), [
      ['status', '0', 'EXECUTED'],
      ['output', '1', 'a'],
      ['output', '3-1', 'b'],
      ['output', '5-1', 'c'],
      ['output', '7', '€d'],
      ['output', '9', Buffer.from([0xff, 0]).toString('base64')],
      ['output', '10', 'e'],
      ['output', '12', Buffer.from([0xf0, 0x9f]).toString('base64')],
      ['output', '13', Buffer.from([0xc3]).toString('base64')],
      ['end', '14', 'EXECUTED'],
    ]);
    for (const [i, { id }] of events.slice(0, -1).entries()) {
      const rest = await allEvents(follow(uuid, { lastId: id }));
      t.same(rest.slice(1), events.slice(i + 1), `after ${id}`);
    }
  },
);

t.test('what was dropped in the middle is told', async (t) => {
  const { submit, follow, reaches } = await startHttp(t, { outputLimitBytes: 2000 });
  const uuid = await submit('seq -w 10000');
  await reaches(uuid, 'EXECUTED');
  const events = await allEvents(follow(uuid));
  t.same(
    events.map(({ event }) => event),
    ['status', 'output', 'gap', 'output', 'end'],
  );
  t.match(events[2], { id: '59000', data: { offset: 1000, bytes: 58_000 } });
  t.match(events[4], { id: '60001', data: { output_bytes: 60_000, output_truncated: true } });
  t.same((await allEvents(follow(uuid, { lastId: '5000' })))[1], {
    event: 'gap',
    id: '59000',
    data: { offset: 5000, bytes: 54_000 },
  });
});

t.test('a loud command, of which the connection breaks again and again, comes whole', async (t) => {
  const { submit, follow } = await startHttp(t);
  const folder = temporaryFolder(t);
  const [out, err] = [randomBytes(1_500_000), Buffer.from('größer als €😀\n'.repeat(40_000))];
  writeFileSync(join(folder, 'out'), out);
  writeFileSync(join(folder, 'err'), err);
  const uuid = await submit(`cat ${folder}/out & cat ${folder}/err >&2; wait`, DURABLE);
  const found: ServerEvent[] = [];
  for (let round = 0; found.at(-1)?.event !== 'end'; round++) {
    const cut = new AbortController();
    const answer = await follow(uuid, { lastId: found.at(-1)?.id ?? '', signal: cut.signal });
    let left = 5 + 7 * round;
    for await (const event of eventsOf(answer)) {
      found.push(event);
      if (--left === 0) break;
    }
    cut.abort();
  }
  const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  t.equal(sha(printedBy(found, 'stdout')), sha(out));
  t.equal(sha(printedBy(found, 'stderr')), sha(err));
  const texts = found.filter(({ event, data }) => event === 'output' && data.stream === 'stderr');
  t.ok(
    texts.every(({ data }) => data.text !== undefined),
    'no text became base64',
  );
});

t.test('bad places and unknown commands are refused', async (t) => {
  const { submit, follow } = await startHttp(t);
  const uuid = await submit('true');
  const bad = ['-1', 'x', '1-2', '1.5', '1-', '9'.repeat(16)];
  for (const place of bad) {
    for (const how of [{ query: `?from=${place}` }, { lastId: place }]) {
      const answer = await follow(uuid, how);
      t.equal(answer.status, 400, JSON.stringify(how));
      t.match(await answer.json(), { code: 'INVALID_REQUEST', error: /must be the id of an event/ });
    }
  }
  t.equal((await follow(uuid, { query: '?from=1&tail=1' })).status, 400);
  t.equal((await follow('11111111-2222-4333-8444-555555555555')).status, 404);
});

t.test('who is gone, and the end of the server, leave nothing behind; neither looks like the end', async (t) => {
  const { submit, follow, changes, app } = await startHttp(t);
  const uuid = await submit('echo a; sleep 1000', DURABLE);
  const cut = new AbortController();
  const gone = await follow(uuid, { signal: cut.signal });
  const left = eventsOf(await follow(uuid));
  await nextEvents(left, 2);
  await until('both look out', () => changes.size === 2);
  cut.abort();
  await gone.body?.cancel().catch(() => {});
  await until('one looks out', () => changes.size === 1);
  const broken = t.rejects(Array.fromAsync(left), 'its connection breaks');
  await app.close();
  await broken;
  t.equal(changes.size, 0);
});

t.test('while nothing happens a comment is sent each 15 s', async (t) => {
  let now = 0;
  const silent: OutputPart = {
    status: 'EXECUTING',
    progress: null,
    ended: false,
    upTo: 0,
    gap: { at: 1000, bytes: 0 },
    isFinal: true,
    pieces: [],
  };
  const ending = new AbortController();
  const source = {
    read: async () => silent,
    startWatch: () => ({
      async next() {
        now += 1000;
      },
      [Symbol.dispose]() {},
    }),
    mayPass: () => false,
    ending: ending.signal,
  };
  const events = outputEvents(
    source,
    async () => null,
    { stream: undefined },
    { at: 0, held: 0 },
    () => now,
  );
  const next = async () => (await events.next()).value;
  t.match(await next(), /^retry: \d+\n\n$/);
  t.match(await next(), /^id: 0\nevent: status\n/);
  for (const seconds of [15, 30, 45]) {
    t.equal(await next(), ':\n\n');
    t.equal(now, seconds * 1000);
  }
  await events.return(undefined);
});
