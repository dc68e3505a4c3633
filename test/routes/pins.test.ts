import t from 'tap';
import { startApp } from '../helpers/app.ts';
import { storeCommands } from '../helpers/stored.ts';

const notFound = { status: 404, body: { code: 'COMMAND_NOT_FOUND' } };

t.test('a command is pinned when it is created, or later, and the pin taken off again', async (t) => {
  const { request, reaches } = await startApp(t);
  const { body } = await request('POST', '/api/v1/commands', { script: 'exit 3', pinned: true });
  const url = `/api/v1/commands/${body.uuid}`;
  const pinned = async () => (await request('GET', url)).body.pinned;
  t.equal((await reaches(body.uuid, 'FAILED')).pinned, true);
  for (const [method, expected] of [
    ['PUT', true],
    ['DELETE', false],
    ['DELETE', false],
    ['PUT', true],
    ['PUT', true],
  ] as const) {
    const { status, body } = await request(method, `${url}/pin`);
    t.same({ status, body }, { status: 204, body: '' }, method);
    t.equal(await pinned(), expected, method);
  }
  const [listed] = (await request('GET', '/api/v1/commands?fields=pinned')).body;
  t.same(listed, { pinned: true });
  const { headers } = await request('GET', url);
  await request('DELETE', `${url}/pin`);
  t.not((await request('GET', url)).headers.etag, headers.etag, 'whoever looks only at what has changed sees it');
});

t.test('without a word a command is not pinned, and what is no boolean is refused', async (t) => {
  const { request } = await startApp(t);
  for (const durables of ['', 'durables/']) {
    const { body } = await request('POST', `/api/v1/${durables}commands`, { script: 'true' });
    t.equal((await request('GET', `/api/v1/commands/${body.uuid}`)).body.pinned, false);
    for (const pinned of ['true', 1, null]) {
      t.match(await request('POST', `/api/v1/${durables}commands`, { script: 'true', pinned }), {
        status: 400,
        body: { error: 'pinned must be true or false', code: 'INVALID_REQUEST' },
      });
    }
  }
});

t.test('what is not there can not be pinned', async (t) => {
  const { request } = await startApp(t);
  for (const uuid of ['11111111-2222-4333-8444-555555555555', 'seven']) {
    for (const method of ['PUT', 'DELETE'] as const) {
      t.match(await request(method, `/api/v1/commands/${uuid}/pin`), notFound, `${method} ${uuid}`);
    }
  }
});

t.test(
  'a command that waits, runs, or belongs to another server can be pinned, and stays so when it ends',
  async (t) => {
    const { request, submit, reaches, database } = await startApp(t, { maxParallel: 1, stopGraceMs: 0 });
    const running = await submit('sleep 1000');
    const waiting = await submit('echo ran');
    await reaches(running, 'EXECUTING');
    const [elsewhere = ''] = await storeCommands(database, [{ status: 'EXECUTING' }]);
    for (const uuid of [running, waiting, elsewhere]) {
      t.equal((await request('PUT', `/api/v1/commands/${uuid}/pin`)).status, 204);
      t.equal((await request('GET', `/api/v1/commands/${uuid}`)).body.pinned, true);
    }
    await request('PATCH', `/api/v1/commands/${running}`);
    t.match(await reaches(running, 'STOPPED'), { pinned: true });
    t.match(await reaches(waiting, 'EXECUTED'), { pinned: true, output: 'ran\n' });
  },
);

t.test('a list shows only pinned commands, or only others', async (t) => {
  const { request, database } = await startApp(t);
  await storeCommands(database, [
    { description: 'a', pinned: true },
    { description: 'b' },
    { description: 'c', pinned: true, status: 'FAILED', labels: { env: 'prod' } },
    { description: 'd', status: 'FAILED' },
    { description: 'e', pinned: true, status: 'QUEUED', script: 'echo find me' },
  ]);
  for (const [query, names] of [
    ['pinned=true', 'e c a'],
    ['pinned=false', 'd b'],
    ['pinned=true&status=FAILED,QUEUED', 'e c'],
    ['pinned=false&status=FAILED', 'd'],
    ['pinned=true&label.env=prod', 'c'],
    ['pinned=true&q=find+me', 'e'],
    ['pinned=false&q=find+me', ''],
    ['pinned=true&created_after=2026-01-01T00:00:00Z', 'e c a'],
  ] as const) {
    const { body, headers } = await request('GET', `/api/v1/commands?count=true&${query}`);
    t.equal(body.map(({ description }: { description: string }) => description).join(' '), names, query);
    t.equal(headers['x-total-count'], `${body.length}`, `how many: ${query}`);
  }
  const { headers } = await request('GET', '/api/v1/commands?pinned=true&limit=1');
  const [, next = ''] = /^<(.+)>; rel="next"$/.exec(String(headers.link)) ?? [];
  t.match((await request('GET', next)).body, [{ description: 'c' }], 'the next page is of the same list');
  t.match(await request('GET', next.replace('pinned=true', 'pinned=false')), {
    status: 400,
    body: { code: 'BAD_CURSOR' },
  });
  t.match(await request('GET', '/api/v1/commands?pinned=yes'), {
    status: 400,
    body: { error: 'pinned must be true or false', code: 'INVALID_REQUEST' },
  });
});

t.test('whoever deletes a pinned command by its uuid means it', async (t) => {
  const { request } = await startApp(t, { stopGraceMs: 0 });
  const { body } = await request('POST', '/api/v1/commands', { script: 'sleep 1000', pinned: true });
  t.equal((await request('DELETE', `/api/v1/commands/${body.uuid}`)).status, 204);
  t.match(await request('GET', `/api/v1/commands/${body.uuid}`), notFound);
});
