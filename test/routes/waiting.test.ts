import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startApp, type TestAppOptions } from '../helpers/app.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const PATHS = ['/api/v1/commands', '/api/v1/durables/commands'];

/** The application on a real port. */
async function startHttp(t: Test, options?: TestAppOptions) {
  const test = await startApp(t, options);
  const url = await test.app.listen({ host: '127.0.0.1', port: 0 });
  const look = (path: string, init?: RequestInit) => fetch(url + path, init);
  const post = (path: string, script: string, headers: Record<string, string> = {}) =>
    look(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ script }),
    });
  return { ...test, look, post };
}

t.test('who waits at a new command gets all of it when it has ended', async (t) => {
  const { post, look } = await startHttp(t);
  for (const path of PATHS) {
    for (const [query, headers] of [
      ['?wait=60', {}],
      ['', { prefer: 'respond-async, wait=60' }],
    ] as [string, Record<string, string>][]) {
      const answer = await post(path + query, 'echo hi; exit 3', headers);
      t.equal(answer.status, 201);
      t.equal(answer.headers.get('preference-applied'), query === '' ? 'wait=60' : null);
      const { uuid, ...command } = (await answer.json()) as { uuid: string };
      t.equal(answer.headers.get('location'), `/api/v1/commands/${uuid}`);
      t.match(command, { command_uuid: uuid, status: 'FAILED', exit_code: 3, output: 'hi\n' });
      t.same(command, await (await look(`/api/v1/commands/${uuid}`)).json(), 'it is what GET shows');
    }
  }
});

t.test('at the deadline the answer is what is known by then', async (t) => {
  const { post, look } = await startHttp(t);
  const begun = performance.now();
  const created = await post('/api/v1/commands?wait=1', 'echo hi; sleep 1000');
  t.equal(created.status, 201);
  const command = (await created.json()) as { uuid: string };
  t.match(command, { status: /QUEUED|EXECUTING/, output: '' });
  const seen = await look(`/api/v1/commands/${command.uuid}`, { headers: { prefer: 'wait=1' } });
  t.match(await seen.json(), { status: /QUEUED|EXECUTING/ });
  t.ok(performance.now() - begun >= 2000 - 10, 'both waited');
  const silent = (await (await post('/api/v1/commands?wait=0', 'true', { prefer: 'wait=60' })).json()) as object;
  t.same(Object.keys(silent), ['uuid'], 'the query goes before the header');
});

t.test('many wait for the end of a command, and all are told', async (t) => {
  const { submit, look, changes } = await startHttp(t);
  const gate = join(temporaryFolder(t), 'gate');
  for (const [i, path] of PATHS.entries()) {
    const uuid = await submit(`until [ -e ${gate}${i} ]; do echo x; sleep 0.01; done`, path);
    const waiting = Array.from({ length: 20 }, () => look(`/api/v1/commands/${uuid}?wait=60`));
    await until('all wait', () => changes.size === 20);
    writeFileSync(`${gate}${i}`, '');
    for (const answer of await Promise.all(waiting)) t.match(await answer.json(), { status: 'EXECUTED' });
    t.equal(changes.size, 0);
  }
});

t.test(
  'who goes away while waiting leaves nothing behind, and who waits at the end of the server is answered',
  async (t) => {
    const { submit, look, changes, app } = await startHttp(t);
    const uuid = await submit('sleep 1000');
    const gone = new AbortController();
    const waiting = t.rejects(look(`/api/v1/commands/${uuid}?wait=60`, { signal: gone.signal }));
    await until('it waits', () => changes.size === 1);
    gone.abort();
    await waiting;
    await until('nobody waits any more', () => changes.size === 0);

    const last = look(`/api/v1/commands/${uuid}?wait=60`);
    await until('it waits', () => changes.size === 1);
    const closed = app.close();
    t.match(await (await last).json(), { status: /QUEUED|EXECUTING/ });
    app.server.closeAllConnections();
    await closed;
  },
);

t.test('bad waits are refused in a query, and overlooked in a header', async (t) => {
  const { post, submit, look } = await startHttp(t);
  const uuid = await submit('true');
  for (const wait of ['', '-1', '1.5', 'x', '301']) {
    for (const answer of [
      await look(`/api/v1/commands/${uuid}?wait=${wait}`),
      await post(`${PATHS[0]}?wait=${wait}`, ':'),
    ]) {
      t.equal(answer.status, 400, wait);
      t.match(await answer.json(), { error: 'wait must be a whole number from 0 to 300' }, wait);
    }
  }
  for (const prefer of ['wait=x', 'wait', 'await=60', 'handling=strict']) {
    const answer = await post('/api/v1/commands', 'sleep 1000', { prefer });
    t.same(Object.keys((await answer.json()) as object), ['uuid'], prefer);
  }
  const much = await post('/api/v1/commands', 'true', { prefer: 'wait="86400"' });
  t.equal(much.headers.get('preference-applied'), 'wait=300');
  t.equal((await look('/api/v1/commands/11111111-2222-4333-8444-555555555555?wait=60')).status, 404);
  t.equal((await look('/api/v1/commands/no-uuid?wait=60')).status, 404);
});

t.test('an answer that the client has already is not sent again', async (t) => {
  const { submit, look, reaches } = await startHttp(t);
  const gate = join(temporaryFolder(t), 'gate');
  const uuid = await submit(`until [ -e ${gate} ]; do sleep 0.01; done`);
  await reaches(uuid, 'EXECUTING');
  const path = `/api/v1/commands/${uuid}`;
  const tag = (await look(path)).headers.get('etag') ?? '';
  t.match(tag, /^"[\w-]+"$/);
  for (const known of [tag, `W/${tag}`, `"other", ${tag}`, '*']) {
    const answer = await look(path, { headers: { 'if-none-match': known } });
    t.equal(answer.status, 304, known);
    t.equal(answer.headers.get('etag'), tag, known);
    t.equal(await answer.text(), '', known);
  }
  writeFileSync(gate, '');
  const ended = await look(`${path}?wait=60`, { headers: { 'if-none-match': tag } });
  t.equal(ended.status, 200, 'it has changed');
  t.match(await ended.json(), { status: 'EXECUTED' });
  const missing = await look('/api/v1/commands/no-uuid', { headers: { 'if-none-match': '*' } });
  t.equal(missing.status, 404, 'a refusal is no answer to keep');
});
