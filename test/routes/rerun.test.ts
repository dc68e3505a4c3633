import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startApp, type TestAppOptions } from '../helpers/app.ts';
import { temporaryFolder } from '../helpers/server.ts';

const REGULAR = '/api/v1/commands';
const DURABLE = '/api/v1/durables/commands';
const NOBODY = '11111111-2222-4333-8444-555555555555';

async function start(t: Test, options: TestAppOptions = {}) {
  const app = await startApp(t, options);
  const create = async (body: object, url = REGULAR): Promise<string> => {
    const answer = await app.request('POST', url, body);
    t.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body.uuid;
  };
  const rerun = (uuid: string, body?: object, { query = '', key }: { query?: string; key?: string } = {}) =>
    app.request('POST', `${REGULAR}/${uuid}/rerun${query}`, body, key === undefined ? {} : { 'idempotency-key': key });
  const get = async (uuid: string) => (await app.request('GET', `${REGULAR}/${uuid}`)).body;
  return { ...app, create, rerun, get };
}

t.test('a rerun is a new command with all that the first was given', async (t) => {
  const { create, rerun, reaches, request } = await start(t);
  const cwd = temporaryFolder(t);
  const input = {
    script: 'echo "$A $1 $(pwd)"; cat; exit 3',
    description: 'größe',
    env: { A: 'ü' },
    args: ['x y'],
    cwd,
    stdin: { base64: Buffer.from('in\0put').toString('base64') },
    labels: { team: 'web' },
    timeout_ms: 60_000,
    nice: 3,
    keep_background: true,
  };
  for (const url of [REGULAR, DURABLE]) {
    const uuid = await create(input, url);
    const first = await reaches(uuid, 'FAILED');
    t.equal(first.rerun_of, null);
    const again = await rerun(uuid);
    t.equal(again.status, 201);
    t.same(Object.keys(again.body), ['uuid']);
    t.not(again.body.uuid, uuid);
    t.equal(again.headers.location, `${REGULAR}/${again.body.uuid}`);
    const second = await reaches(again.body.uuid, 'FAILED');
    const { description, script, durable, options, inputs, labels, output, exit_code } = first;
    t.match(second, { description, script, durable, options, labels, output, exit_code, rerun_of: uuid });
    t.same(second.inputs, inputs);
    t.equal(output, `ü x y ${cwd}\nin\0put`);
    const { body: found } = await request('GET', `${REGULAR}?q=größe&fields=command_uuid,rerun_of&limit=1`);
    t.same(found, [{ command_uuid: again.body.uuid, rerun_of: uuid }], 'it is found as every command');
  }
});

t.test('what it repeats stays known when that is deleted; the uuid is that of the path', async (t) => {
  const { create, rerun, get, request } = await start(t);
  const first = await create({ script: 'true' });
  const second = (await rerun(first)).body.uuid;
  const third = (await rerun(second.toUpperCase())).body.uuid;
  await request('DELETE', `${REGULAR}/${first}`);
  await request('DELETE', `${REGULAR}/${second}`);
  t.equal((await get(third)).rerun_of, second);
  const missing = { status: 404, body: { code: 'COMMAND_NOT_FOUND' } };
  for (const uuid of [first, second, NOBODY, 'no-uuid']) t.match(await rerun(uuid), missing);
});

t.test('who waits at a rerun gets all of it when it has ended', async (t) => {
  const { create, rerun } = await start(t);
  const uuid = await create({ script: 'echo hi' });
  const { status, body } = await rerun(uuid, undefined, { query: '?wait=60' });
  t.equal(status, 201);
  t.match(body, { command_uuid: body.uuid, status: 'EXECUTED', output: 'hi\n', rerun_of: uuid });
});

t.test('a command can be run again whatever its status is, and at whichever server it is', async (t) => {
  const one = await start(t, { maxParallel: 1, stopGraceMs: 100 });
  const other = await start(t, { database: one.database, owner: 2 });
  const running = await one.create({ script: 'sleep 1000' });
  await one.reaches(running, 'EXECUTING');
  const waiting = await one.create({ script: 'echo waited' });
  const again = await other.rerun(waiting, undefined, { query: '?wait=60' });
  t.match(again, { status: 201, body: { status: 'EXECUTED', output: 'waited\n', rerun_of: waiting } });
  await other.reaches((await other.rerun(running)).body.uuid, 'EXECUTING');
  await one.request('PATCH', `${REGULAR}/${waiting}`);
  t.match((await other.rerun(waiting, {}, { query: '?wait=60' })).body, { status: 'EXECUTED' });
  await one.request('PATCH', `${REGULAR}/${running}`);
  t.match((await one.rerun(waiting, { secret_env: {} }, { query: '?wait=60' })).body, { status: 'EXECUTED' });
});

t.test('secrets have to come again, all of them and no other', async (t) => {
  const { create, rerun, reaches, get, database } = await start(t);
  const secret_env = { TOKEN: 'swordfish', OTHER: 'trout-trout' };
  const uuid = await create({ script: 'echo "$TOKEN" | rev; echo "$OTHER"', secret_env });
  await reaches(uuid, 'EXECUTED');
  for (const [body, error] of [
    [undefined, /TOKEN, OTHER/],
    [{}, /TOKEN, OTHER/],
    [
      { secret_env: { TOKEN: 'swordfish' } },
      'secret_env must give OTHER again: the values of its secrets are stored nowhere',
    ],
    [
      { secret_env: { ...secret_env, MORE: 'abcdefg' } },
      'secret_env must not give MORE: the command has no such secret',
    ],
  ] as [object | undefined, string | RegExp][]) {
    t.match(await rerun(uuid, body), { status: 400, body: { error, code: 'SECRETS_MISMATCH' } });
  }
  const again = await rerun(uuid, { secret_env: { TOKEN: 'new-token', OTHER: 'new-other' } });
  t.match(await reaches(again.body.uuid, 'EXECUTED'), {
    output: 'nekot-wen\n***\n',
    inputs: { secret_env: ['TOKEN', 'OTHER'] },
  });
  const plain = await create({ script: 'true' });
  t.match(await rerun(plain, { secret_env }), { status: 400, body: { code: 'SECRETS_MISMATCH' } });
  t.match(await get(again.body.uuid), { rerun_of: uuid });
  t.equal((await database.rows('SELECT FROM commands')).length, 3, 'what was refused is not stored');
});

t.test('the limits of now hold', async (t) => {
  const before = await start(t);
  const now = await start(t, { database: before.database, owner: 2, maxTimeoutMs: 1000, maxQueued: 0, maxParallel: 1 });
  const cwd = join(temporaryFolder(t), 'gone');
  mkdirSync(cwd);
  const moved = await before.create({ script: 'true', cwd });
  rmdirSync(cwd);
  const long = await before.create({ script: 'true', timeout_ms: 1001 });
  const large = await before.create({
    script: 'true',
    args: Array.from({ length: 8 }, () => 'x'.repeat(120_000)),
    secret_env: { S: 'swordfish' },
  });
  t.match(await now.rerun(moved), { status: 400, body: { code: 'CWD_REFUSED' } });
  t.match(await now.rerun(long), { status: 400, body: { code: 'TIMEOUT_TOO_LONG' } });
  t.match(await now.rerun(large, { secret_env: { S: 'x'.repeat(100_000) } }), {
    status: 400,
    body: { code: 'INVALID_REQUEST', error: /^env, secret_env and args together must be at most 1048576 bytes/ },
  });
  const running = await now.create({ script: 'sleep 1000' });
  t.match(await now.rerun(running), { status: 429, body: { code: 'QUEUE_FULL' } });
  await now.commander.drain();
  t.match(await now.rerun(running), { status: 503, body: { code: 'DRAINING' } });
});

t.test('bodies that are none are refused', async (t) => {
  const { create, rerun, app } = await start(t);
  const uuid = await create({ script: 'true' });
  for (const [body, error] of [
    [[], 'the body must be a JSON object'],
    [{ script: 'true' }, 'unknown: script'],
    [{ secret_env: ['a'] }, 'secret_env must be an object of strings'],
    [{ secret_env: { S: 'short' } }, /^secret_env.S must be at least 6 bytes long/],
    [{ secret_env: { '1': 'swordfish' } }, /^secret_env must have names/],
  ] as [object, string | RegExp][]) {
    t.match(await rerun(uuid, body), { status: 400, body: { error, code: 'INVALID_REQUEST' } }, JSON.stringify(body));
  }
  t.match(await rerun(uuid, {}, { query: '?wait=x' }), { status: 400, body: { code: 'INVALID_REQUEST' } });
  const url = `${REGULAR}/${uuid}/rerun`;
  const raw = async (payload: string, type: string) =>
    (await app.inject({ method: 'POST', url, payload, headers: { 'content-type': type } })).statusCode;
  t.equal(await raw('{', 'application/json'), 400);
  t.equal(await raw('{}', 'text/plain'), 415);
  t.equal(await raw('', 'application/json'), 201, 'some clients announce JSON and send nothing');
});

t.test('a rerun with a key is safe to repeat, even when the first command is deleted', async (t) => {
  const { create, rerun, request, database, reaches } = await start(t);
  const script = 'echo $S | rev';
  const uuid = await create({ script, secret_env: { S: 'swordfish' } });
  const twin = await create({ script, secret_env: { S: 'swordfish' } });
  const secret_env = { S: 'trout-trout' };
  t.match(await rerun(uuid, {}, { key: 'key' }), { status: 400 });
  const first = await rerun(uuid, { secret_env }, { key: 'key' });
  t.match(first, { status: 201, headers: { 'idempotency-replayed': undefined } });
  const replayed = {
    status: 201,
    headers: { ...first.headers, 'idempotency-replayed': 'true', date: /./, 'x-request-id': /./ },
  };
  t.match(await rerun(uuid, { secret_env }, { key: 'key' }), { ...replayed, body: first.body });
  await reaches(first.body.uuid, 'EXECUTED');
  const reused = { status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } };
  t.match(await rerun(twin, { secret_env }, { key: 'key' }), reused, 'another command');
  t.match(await rerun(uuid, {}, { key: 'key' }), reused, 'without its secret');
  await request('DELETE', `${REGULAR}/${uuid}`);
  t.match(await rerun(uuid, { secret_env }, { key: 'key' }), { ...replayed, body: first.body });
  t.match(await rerun(uuid, { secret_env }, { key: 'another' }), { status: 404 });
  const answers = await Promise.all(Array.from({ length: 50 }, () => rerun(twin, { secret_env }, { key: 'many' })));
  t.equal(new Set(answers.map(({ body }) => body.uuid)).size, 1);
  t.equal((await database.rows('SELECT FROM commands')).length, 3);
});
