import t, { type Test } from 'tap';
import { Keyring } from '../../src/access/keyring.ts';
import { as, tokenFile } from '../helpers/access.ts';
import { startApp, type TestAppOptions } from '../helpers/app.ts';
import { allEvents } from '../helpers/events.ts';
import { until } from '../helpers/until.ts';

const REGULAR = '/api/v1/commands';
const DURABLE = '/api/v1/durables/commands';

async function start(t: Test, options: TestAppOptions = {}) {
  const app = await startApp(t, options);
  const create = async (body: object, headers = {}, url = REGULAR) => {
    const { status, body: created } = await app.request('POST', url, body, headers);
    if (status !== 201) throw new Error(`${status} ${JSON.stringify(created)}`);
    return created;
  };
  const get = async (uuid: string, headers = {}) =>
    (await app.request('GET', `${REGULAR}/${uuid}`, undefined, headers)).body;
  const stop = async (uuid: string, headers = {}) =>
    (await app.request('PATCH', `${REGULAR}/${uuid}`, undefined, headers)).status;
  const is = (uuid: string, status: string, headers = {}) =>
    until(`${uuid} is ${status}`, async () => {
      const command = await get(uuid, headers);
      return command.status === status ? command : null;
    });
  return { ...app, create, get, stop, is };
}

/** An application for some who have tokens. */
const startFor = (t: Test, names: readonly string[], options: TestAppOptions = {}) =>
  start(t, { access: { keyring: new Keyring({ file: tokenFile(t, names) }) }, ...options });

t.test('a command says who has sent it, wherever it shows', async (t) => {
  const { create, get, request } = await startFor(t, ['ann', 'bob', 'carl']);
  for (const url of [REGULAR, DURABLE]) {
    const { uuid } = await create({ script: 'true' }, as('ann'), url);
    t.match(await get(uuid, as('bob')), { created_by: 'ann', stopped_by: null });
    t.match(await create({ script: 'true' }, as('bob'), `${url}?wait=60`), { status: 'EXECUTED', created_by: 'bob' });
    const again = await create({}, as('carl'), `${REGULAR}/${uuid}/rerun?wait=60`);
    t.match(again, { rerun_of: uuid, created_by: 'carl' }, 'a rerun is of who asks for it');
  }
  const { body } = await request('GET', `${REGULAR}?fields=created_by,stopped_by&limit=3`, undefined, as('ann'));
  t.same(
    body,
    ['carl', 'bob', 'ann'].map((created_by) => ({ created_by, stopped_by: null })),
  );
});

t.test('a command says who stopped it: whoever asked first', async (t) => {
  const { create, get, stop, is, app } = await startFor(t, ['ann', 'bob'], { maxParallel: 1 });
  const script = "trap '' TERM; echo up; while :; do sleep 0.1; done";
  const { uuid: running } = await create({ script }, as('ann'), DURABLE);
  const { uuid: waiting } = await create({ script: 'true' }, as('ann'));
  await is(running, 'EXECUTING', as('ann'));
  await until('it ignores signals', async () => (await get(running, as('ann'))).output === 'up\n');
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  const events = allEvents(
    fetch(`${url}${REGULAR}/${running}/output`, { headers: { accept: 'text/event-stream', ...as('ann') } }),
  );
  t.equal(await stop(waiting, as('bob')), 200);
  t.match(await get(waiting, as('ann')), { reason: 'stop', created_by: 'ann', stopped_by: 'bob' });
  const first = stop(running, as('bob'));
  await until('the stop is under way', async () => {
    const { body } = await app.inject({ url: `${REGULAR}/${running}/transitions`, headers: as('ann') });
    return body.includes('executing.terminating');
  });
  t.same(await Promise.all([first, stop(running, as('ann'))]), [200, 200]);
  t.equal(await stop(running, as('ann')), 200, 'it is stopped already');
  t.match(await get(running, as('ann')), { status: 'STOPPED', reason: 'stop', created_by: 'ann', stopped_by: 'bob' });
  t.match((await events).at(-1), { event: 'end', data: { reason: 'stop', stopped_by: 'bob' } });
});

t.test('where nobody has a name none is told, nor where something else ended a command', async (t) => {
  const { create, stop, is, get, commander } = await start(t);
  const stopped = await create({ script: 'sleep 1000' });
  await is(stopped.uuid, 'EXECUTING');
  t.equal(await stop(stopped.uuid), 200);
  t.match(await get(stopped.uuid), { reason: 'stop', created_by: null, stopped_by: null });
  const guarded = await startFor(t, ['ann', 'bob']);
  const late = await guarded.create({ script: 'sleep 1000', timeout_ms: 10 }, as('ann'));
  t.match(await guarded.is(late.uuid, 'FAILED', as('ann')), { reason: 'timeout', stopped_by: null });
  t.equal(await guarded.stop(late.uuid, as('bob')), 409);
  t.match(await guarded.get(late.uuid, as('ann')), { reason: 'timeout', created_by: 'ann', stopped_by: null });
  const { uuid } = await create({ script: 'sleep 1000' });
  await is(uuid, 'EXECUTING');
  await commander.drain();
  t.match(await get(uuid), { reason: 'shutdown', stopped_by: null });
});

t.test('the same key in the hands of two is two keys, and neither learns of the other', async (t) => {
  const guarded = await startFor(t, ['ann', 'bob', 'carl']);
  const { database } = guarded;
  const open = await start(t, { database, owner: 2 });
  const key = { 'idempotency-key': 'key' };
  const post = (script: string, headers?: object) =>
    (headers === undefined ? open : guarded).request('POST', REGULAR, { script }, { ...key, ...headers });
  const ann = await post('echo ann', as('ann'));
  const bob = await post('echo bob', as('bob'));
  const nobody = await post('echo ann');
  for (const { status, headers } of [ann, bob, nobody]) {
    t.match([status, headers['idempotency-replayed']], [201, undefined]);
  }
  const replayed = { 'idempotency-replayed': 'true' };
  t.match(await post('echo ann', as('ann')), { headers: replayed, body: ann.body });
  t.match(await post('echo bob', as('bob')), { headers: replayed, body: bob.body });
  t.match(await post('echo ann'), { headers: replayed, body: nobody.body });
  t.match(await post('echo ann', as('bob')), { status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } });
  const rerun = await guarded.request('POST', `${REGULAR}/${ann.body.uuid}/rerun`, {}, { ...key, ...as('carl') });
  t.match([rerun.status, rerun.headers['idempotency-replayed']], [201, undefined]);
  t.equal((await database.rows('SELECT FROM commands')).length, 4);
});

t.test('a filter by who has sent a command wants one name', async (t) => {
  const { request } = await start(t);
  for (const query of ['created_by=', 'created_by=a%00b', 'created_by=a&created_by=b']) {
    for (const method of ['GET', 'DELETE'] as const) {
      const answer = await request(method, `${REGULAR}?${query}`);
      t.match(answer, { status: 400, body: { code: 'INVALID_REQUEST' } }, `${method} ${query}`);
    }
  }
  t.match(await request('GET', `${REGULAR}?created_by=${encodeURIComponent("Zoë'; --")}`), { status: 200, body: [] });
});
