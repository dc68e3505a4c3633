import { readFileSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startApp, type TestAnswer, type TestAppOptions } from '../helpers/app.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const REGULAR = '/api/v1/commands';
const DURABLE = '/api/v1/durables/commands';

const REUSED = { status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } };
const REPLAYED = { status: 201, headers: { 'idempotency-replayed': 'true' } };

async function start(t: Test, options: TestAppOptions = {}) {
  const app = await startApp(t, options);
  const post = (key: string | string[], body: object, url = REGULAR) =>
    app.request('POST', url, body, { 'idempotency-key': key });
  const rows = async () => (await app.database.rows('SELECT FROM commands')).length;
  return { ...app, post, rows };
}

/** A script that leaves a line each time it runs. */
function counted(t: Test) {
  const file = join(temporaryFolder(t), 'runs');
  writeFileSync(file, '');
  return { script: `echo run >> ${file}`, runs: () => readFileSync(file, 'utf8') };
}

/** The same answer as that of a first request, and told to be so. */
function sameAnswer(t: Test, answer: TestAnswer, first: TestAnswer) {
  t.match(answer, {
    ...REPLAYED,
    headers: { ...REPLAYED.headers, location: first.headers.location },
    body: first.body,
  });
  t.same(Object.keys(answer.body), Object.keys(first.body));
}

t.test('the same key and request give the first answer again, and nothing runs twice', async (t) => {
  for (const url of [REGULAR, DURABLE]) {
    const { post, reaches, request, rows } = await start(t);
    const { script, runs } = counted(t);
    const first = await post('abc', { script }, url);
    t.match(first, { status: 201, headers: { 'idempotency-replayed': undefined }, body: { uuid: /^[0-9a-f-]{36}$/ } });
    sameAnswer(t, await post('abc', { script }, url), first);
    await reaches(first.body.uuid, 'EXECUTED');
    sameAnswer(t, await post('abc', { script }, url), first);
    const other = await post('another', { script }, url);
    t.not(other.body.uuid, first.body.uuid);
    await reaches(other.body.uuid, 'EXECUTED');
    t.equal(runs(), 'run\nrun\n');
    t.equal(await rows(), 2);
    const { body } = await request('GET', '/manage/metrics');
    const [, created] = /^shellvisor_commands_created_total\S* (\d+)/m.exec(body) ?? [];
    t.equal(created, '2', 'a replay is no new command');
  }
});

t.test('a request is the same however it is written, and whatever its secrets are', async (t) => {
  const { post, rows } = await start(t);
  const inputs = {
    env: { A: '1', B: '2' },
    labels: { x: '1', y: '2' },
    secret_env: { S: 'swordfish', T: 'trout-trout' },
  };
  const first = await post('full', { script: 'true', timeout_ms: 5000, ...inputs });
  const reordered = {
    secret_env: { T: 'another trout', S: 'another fish' },
    labels: { y: '2', x: '1' },
    env: { B: '2', A: '1' },
    timeout_ms: 5000,
    script: 'true',
  };
  sameAnswer(t, await post('full', reordered), first);
  const plain = await post('plain', { script: 'true' });
  const spelledOut = { description: '', env: {}, secret_env: {}, args: [], labels: {}, stdin: '', pinned: false };
  const options = { keep_background: false, on_output_limit: 'truncate' };
  sameAnswer(t, await post('plain', { script: 'true', ...spelledOut, ...options }), plain);
  sameAnswer(t, await post('"plain"', { script: 'true' }), plain);
  const quoted = await post('"a \\"b\\" \\\\c"', { script: 'true' });
  sameAnswer(t, await post('a "b" \\c', { script: 'true' }), quoted);
  t.equal(await rows(), 3);
});

t.test('the same key with another request is refused, and nothing is stored', async (t) => {
  const { post, rows } = await start(t);
  const request = {
    script: 'true',
    description: 'a',
    env: { A: '1' },
    args: ['a', 'b'],
    stdin: 'a',
    labels: { a: 'b' },
    secret_env: { S: 'swordfish' },
    nice: 1,
    cwd: '/',
  };
  const first = await post('key', request);
  t.equal(first.status, 201);
  const others: object[] = [
    { script: 'false' },
    { description: 'b' },
    { env: { A: '2' } },
    { env: { A: '1', B: '1' } },
    { args: ['b', 'a'] },
    { stdin: 'b' },
    { labels: {} },
    { secret_env: { T: 'swordfish' } },
    { nice: 2 },
    { cwd: '/tmp' },
    { keep_background: true },
    { on_output_limit: 'kill' },
    { timeout_ms: 1 },
    { pinned: true },
  ];
  for (const other of others) t.match(await post('key', { ...request, ...other }), REUSED, JSON.stringify(other));
  t.match(await post('key', request, DURABLE), REUSED);
  t.match(await post('key', {}, `${REGULAR}/${first.body.uuid}/rerun`), REUSED);
  t.match(await post('key', request), REPLAYED);
  t.equal(await rows(), 1);
});

t.test('what is kept to know a request again is the same from version to version', async (t) => {
  const { post, database } = await start(t);
  const secret_env = { S: 'swordfish' };
  const request = { script: 'true', env: { B: '1', A: '2' }, args: ['x'], stdin: 'in', labels: { l: 'm' }, secret_env };
  const { body } = await post('regular', request);
  await post('durable', { script: 'true' }, DURABLE);
  await database.rows('UPDATE commands SET command_uuid = $1 WHERE command_uuid = $2', [
    '00000000-0000-4000-8000-000000000001',
    body.uuid,
  ]);
  await post('rerun', { secret_env }, `${REGULAR}/00000000-0000-4000-8000-000000000001/rerun`);
  t.same(await database.rows("SELECT key, encode(fingerprint, 'hex') AS hex FROM idempotency_keys ORDER BY key"), [
    { key: 'durable', hex: '8a478dca6f599933bc7b9aa0a1db3f4c8377eb8d44473d67fcca9d0caeff3460' },
    { key: 'regular', hex: 'c1c875a422a456a8b59dc35c4d3b1070882824b8171cc7e38edcca6b8e89fa26' },
    { key: 'rerun', hex: '49ec10d127f705393441c14b66f0fcc254cb49749802b62f75c5798085909e90' },
  ]);
});

t.test('a hundred requests at once with one key, at two servers, are one command', async (t) => {
  const { script, runs } = counted(t);
  const one = await start(t);
  const other = await start(t, { database: one.database, owner: 2 });
  const posts = Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? one : other).post('key', { script }));
  const answers = await Promise.all(posts);
  const [first, ...more] = answers.filter(({ headers }) => headers['idempotency-replayed'] === undefined);
  if (first === undefined) throw new Error('nobody was first');
  t.same(more, [], 'one was first');
  for (const answer of answers) {
    t.match(answer, { status: 201, headers: { location: first.headers.location } });
    t.same(answer.body, first.body);
  }
  await one.reaches(first.body.uuid, 'EXECUTED');
  t.equal(await one.rows(), 1);
  t.equal(runs(), 'run\n');
  t.same(
    [one, other].map(({ commander }) => commander.load().waiting),
    [0, 0],
  );
});

t.test('a request that was refused has not used its key up', async (t) => {
  const { post, rows, request } = await start(t, { maxParallel: 1, maxQueued: 1, maxTimeoutMs: 5000 });
  const refusals: [object, number][] = [
    [{}, 400],
    [{ script: 'true', timeout_ms: 5001 }, 400],
    [{ script: 'true', cwd: '/nowhere' }, 400],
    [{ script: ' '.repeat(10 * 1024 * 1024 + 1) }, 413],
    [{ script: ' '.repeat(11 * 1024 * 1024) }, 413],
  ];
  for (const [body, status] of refusals) t.equal((await post('key', body)).status, status);
  const running = await post('running', { script: 'sleep 1000' });
  const waiting = await post('waiting', { script: 'true' });
  t.match(await post('key', { script: 'true' }), { status: 429, body: { code: 'QUEUE_FULL' } });
  t.match(await post('waiting', { script: 'true' }), { ...REPLAYED, body: waiting.body }, 'a replay needs no room');
  await request('DELETE', `${REGULAR}/${running.body.uuid}`);
  await until('there is room', async () => (await post('key', { script: 'true' })).status === 201);
  t.match(await post('key', { script: 'true' }), REPLAYED);
  t.equal(await rows(), 2);
});

t.test('a server that shuts down refuses what is new, and gives answers again', async (t) => {
  const { post, commander, database } = await start(t);
  const first = await post('early', { script: 'true' });
  await commander.drain();
  t.match(await post('late', { script: 'true' }), { status: 503, body: { code: 'DRAINING' } });
  t.match(await post('early', { script: 'true' }), { ...REPLAYED, body: first.body });
  const next = await start(t, { database, owner: 2 });
  t.match(await next.post('late', { script: 'true' }), { status: 201, headers: { 'idempotency-replayed': undefined } });
});

t.test('who repeats a request can wait for the end of the first command', async (t) => {
  const { post } = await start(t);
  const gate = join(temporaryFolder(t), 'gate');
  const script = `until [ -e ${gate} ]; do sleep 0.01; done; echo done`;
  const first = await post('key', { script });
  t.match((await post('key', { script }, `${REGULAR}?wait=1`)).body, { ...first.body, status: /QUEUED|EXECUTING/ });
  const waiting = [post('key', { script }, `${REGULAR}?wait=60`), post('key', { script }, `${REGULAR}?wait=60`)];
  writeFileSync(gate, '');
  for (const answer of await Promise.all(waiting)) {
    t.match(answer, { ...REPLAYED, headers: { location: first.headers.location } });
    t.match(answer.body, { ...first.body, command_uuid: first.body.uuid, status: 'EXECUTED', output: 'done\n' });
  }
});

t.test('a repeat still gets the first answer when the command is deleted, and runs nothing', async (t) => {
  const { post, request, reaches, rows } = await start(t);
  const { script, runs } = counted(t);
  const first = await post('key', { script });
  await reaches(first.body.uuid, 'EXECUTED');
  await request('DELETE', `${REGULAR}/${first.body.uuid}`);
  sameAnswer(t, await post('key', { script }), first);
  sameAnswer(t, await post('key', { script }, `${REGULAR}?wait=60`), first);
  t.equal(await rows(), 0);
  t.equal(runs(), 'run\n');
});

t.test('a day later the key stands for a new request', async (t) => {
  const { post, database, rows } = await start(t);
  const first = await post('key', { script: 'true' });
  await database.rows("UPDATE idempotency_keys SET created_at = now() - interval '25 hours'");
  const second = await post('key', { script: 'echo another' });
  t.match(second, { status: 201, headers: { 'idempotency-replayed': undefined } });
  t.not(second.body.uuid, first.body.uuid);
  t.match(await post('key', { script: 'true' }), REUSED);
  t.equal(await rows(), 2);
});

t.test('what is no key is refused', async (t) => {
  const { post, app, rows } = await start(t);
  const wrong = 'Idempotency-Key must be 1 to 255 printable ASCII characters, in quotes or not';
  for (const key of ['', '""', 'x'.repeat(256), `"${'x'.repeat(256)}"`, '"a', '"a"b"', '"a\\b"', 'ü', 'a\tb']) {
    const answer = await post(key, { script: 'true' });
    t.match(answer, { status: 400, body: { error: wrong, code: 'INVALID_REQUEST' } }, key);
    t.same(answer.body.details, [{ path: 'idempotency-key', message: wrong }]);
  }
  for (const key of ['x'.repeat(255), `"${'"'.replaceAll('"', '\\"').repeat(255)}"`, '~!, {}', 'a"b']) {
    t.match(await post(key, { script: 'true' }), { status: 201, headers: { 'idempotency-replayed': undefined } }, key);
  }
  t.equal(await rows(), 4);
  const twice = { status: 400, body: { error: 'Idempotency-Key must be given once', code: 'INVALID_REQUEST' } };
  t.match(await post(['a', 'a'], { script: 'true' }), twice);
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  const headers: [string, string][] = [
    ['host', new URL(url).host],
    ['content-type', 'application/json'],
    ['Idempotency-Key', 'a'],
    ['idempotency-key', 'b'],
  ];
  const { status, body } = await sendRaw(`${url}${REGULAR}`, headers, '{"script":"true"}');
  t.match({ status, body }, twice, 'over the wire too');
});

/** With headers that come twice, which `fetch` would put together. */
function sendRaw(url: string, headers: [string, string][], body: string): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, {
      method: 'POST',
      headers: [...headers, ['content-length', `${body.length}`]].flat(),
    });
    sent.on('error', reject).on('response', async (response) => {
      resolve({ status: response.statusCode ?? 0, body: JSON.parse((await response.toArray()).join('')) });
    });
    sent.end(body);
  });
}
