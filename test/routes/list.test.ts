import t, { type Test } from 'tap';
import { startApp } from '../helpers/app.ts';
import { type Stored, storeCommands } from '../helpers/stored.ts';

/** An app with these commands, named by their descriptions, and how to list those names. */
async function listOf(t: Test, commands: readonly Stored[]) {
  const app = await startApp(t);
  await storeCommands(app.database, commands);
  const list = async (query: string) => {
    const { status, body } = await app.request('GET', `/api/v1/commands?limit=1000&${query}`);
    if (status !== 200) throw new Error(`${query}: ${JSON.stringify(body)}`);
    return body.map(({ description }: { description: string }) => description).join(' ');
  };
  return { ...app, list };
}

t.test('each filter alone, and several together', async (t) => {
  const { list } = await listOf(t, [
    { description: 'old', createdAt: '2026-01-01T00:00:00Z' },
    { description: 'seven', status: 'FAILED', exitCode: 7, durable: true },
    { description: 'killed', status: 'FAILED', reason: 'signal', exitCode: null },
    { description: 'stopped', status: 'STOPPED', reason: 'stop', exitCode: null, createdBy: 'ann' },
    { description: 'waits', status: 'QUEUED', labels: { env: 'prod' }, createdBy: 'bob' },
    { description: 'runs', status: 'EXECUTING', durable: true, labels: { env: 'prod', 'app/tier': 'db' } },
    { description: 'late', createdAt: '2026-12-31T00:00:00.001Z', createdBy: 'ann' },
  ]);
  const all = 'late runs waits stopped killed seven old';
  for (const [query, names] of [
    ['', all],
    ['status=FAILED', 'killed seven'],
    ['status=FAILED&status=STOPPED', 'stopped killed seven'],
    ['status=STOPPED,FAILED', 'stopped killed seven'],
    ['status=QUEUED,EXECUTING&status=STOPPED', 'runs waits stopped'],
    ['status=FAILED,FAILED', 'killed seven'],
    ['status=QUEUED,EXECUTING,EXECUTED,FAILED,STOPPED', all],
    ['durable=true', 'runs seven'],
    ['durable=false&status=FAILED', 'killed'],
    ['reason=signal', 'killed'],
    ['reason=timeout', ''],
    ['exit_code=7', 'seven'],
    ['exit_code=0', 'late old'],
    ['exit_code=0&status=FAILED', ''],
    ['label.env=prod', 'runs waits'],
    ['label.env=prod&label.app/tier=db', 'runs'],
    ['label.env=prod&status=QUEUED', 'waits'],
    ['label.env=pro', ''],
    ['label.env=', ''],
    ['created_by=ann', 'late stopped'],
    ['created_by=ann&status=STOPPED', 'stopped'],
    ['created_by=ann&created_before=2026-12-01T00:00:00Z', 'stopped'],
    ['created_by=an', ''],
    ['created_by=Ann', ''],
    ['created_after=2026-12-31T00:00:00Z', 'late'],
    ['created_after=2026-12-31T00:00:00.001Z', ''],
    ['created_before=2026-01-01T00:00:00.001Z', 'old'],
    [
      'created_after=2026-01-01T03:00:00%2B02:00&created_before=2026-12-01T00:00:00Z',
      'runs waits stopped killed seven',
    ],
    ['created_before=2026-12-01T00:00:00Z&status=FAILED,STOPPED', 'stopped killed seven'],
  ] as const) {
    t.equal(await list(query), names, query);
  }
});

t.test('a search finds a text in descriptions and scripts, whatever its case', async (t) => {
  const { list } = await listOf(t, [
    { description: 'deploy', script: 'docker compose UP -d' },
    { description: 'Привет-Мир', script: "echo '100%_done'" },
    { description: 'far', script: `${'#'.repeat(8192 - 6)}needlehay` },
    { description: 'lines', script: 'set -e\ncd /srv\n$(( 1 << 2 ))' },
  ]);
  for (const [text, names] of [
    ['docker', 'deploy'],
    ['COMPOSE up', 'deploy'],
    ['DEPLOY', 'deploy'],
    ['привет', 'Привет-Мир'],
    ['МИР', 'Привет-Мир'],
    ['100%', 'Привет-Мир'],
    ['%_d', 'Привет-Мир'],
    ['1__', ''],
    ['needle', 'far'],
    ['needleh', ''],
    ['-e\ncd', 'lines'],
    ['$((', 'lines'],
    ['<< 2', 'lines'],
    ['deploydocker', ''],
    ['nowhere', ''],
    ["'; --", ''],
  ] as const) {
    t.equal(await list(`q=${encodeURIComponent(text)}`), names, text);
  }
});

t.test('a command can be found as soon as it is created', async (t) => {
  const { request, submit } = await startApp(t);
  await submit('echo something else');
  const uuid = await submit('echo Straße Σοφός');
  for (const text of ['straße', 'σοφός', 'ΣΟΦΌ']) {
    const { body } = await request('GET', `/api/v1/commands?q=${encodeURIComponent(text)}`);
    t.match([body.length, body[0]?.command_uuid], [1, uuid], text);
  }
});

t.test('pages follow one another by the link, for each kind of list, whatever comes or goes meanwhile', async (t) => {
  const days = Array.from({ length: 12 }, (_, i) => `2026-02-${String(i + 10)}T00:00:00Z`);
  // Two servers whose clocks differ: not in the order of their times.
  const commands = days.map((createdAt, i) => ({
    description: `n${i}`,
    script: 'echo common',
    createdBy: i === 3 ? 'bob' : 'ann',
    status: i % 3 === 0 ? 'FAILED' : 'EXECUTED',
    exitCode: i % 3 === 0 ? 1 : 0,
    createdAt: i % 2 === 0 ? createdAt : (days[11 - i] as string),
  }));
  const app = await startApp(t);
  await storeCommands(app.database, commands);
  const names = async (query: string) => {
    const whole = await app.request('GET', `/api/v1/commands?limit=1000&${query}`);
    return whole.body.map(({ description }: { description: string }) => description);
  };
  for (const query of [
    'x',
    'status=EXECUTED',
    'status=FAILED,EXECUTED',
    'created_after=2026-02-11T00:00:00Z',
    'created_before=2026-03-01T00:00:00Z&status=FAILED,EXECUTED',
    'q=common',
    'q=common&created_after=2026-02-01T00:00:00Z',
    'exit_code=0&fields=description',
    'created_by=ann',
  ]) {
    const filter = query === 'x' ? '' : query;
    const expected = await names(filter);
    const found: string[] = [];
    let url: string | undefined = `/api/v1/commands?limit=5&${filter}`;
    for (let page = 0; url !== undefined; page++) {
      const { status, body, headers } = await app.request('GET', url);
      t.equal(status, 200, `${url}`);
      t.ok(body.length > 0, 'no page is empty');
      found.push(...body.map(({ description }: { description: string }) => description));
      url = /^<(.+)>; rel="next"$/.exec(String(headers.link ?? ''))?.[1];
      // What is new comes before all that we have seen.
      if (page === 0)
        await storeCommands(app.database, [
          { description: 'new', script: 'common', createdAt: '2026-02-28T00:00:00Z', createdBy: 'ann' },
        ]);
    }
    t.same(found, expected, query);
    await app.database.rows("DELETE FROM commands WHERE description = 'new'");
  }
  const first = await app.request('GET', '/api/v1/commands?limit=5');
  await app.database.rows("DELETE FROM commands WHERE description = 'n7'");
  const next = /^<(.+)>/.exec(String(first.headers.link))?.[1] ?? '';
  t.match((await app.request('GET', next)).body[0].description, 'n6', 'the command of the cursor is gone');
});

t.test('a cursor that is none of this list is refused', async (t) => {
  const app = await startApp(t);
  await storeCommands(app.database, [{}, {}, { status: 'FAILED' }]);
  const { headers } = await app.request('GET', '/api/v1/commands?limit=1');
  const cursor = /cursor=([\w-]+)/.exec(String(headers.link))?.[1] ?? '';
  t.match((await app.request('GET', `/api/v1/commands?cursor=${cursor}`)).body, { length: 2 });
  t.match((await app.request('GET', `/api/v1/commands?cursor=${cursor}&limit=1&count=true&output=false`)).status, 200);
  const changed = Buffer.from(cursor, 'base64url');
  changed[7] = (changed[7] as number) ^ 1;
  for (const query of [
    'cursor=',
    'cursor=x',
    `cursor=${cursor.slice(1)}`,
    `cursor=${cursor}A`,
    `cursor=${cursor}=`,
    `cursor=${changed.toString('base64url')}`,
    `cursor=${cursor}&status=FAILED`,
    `cursor=${cursor}&durable=false`,
    `cursor=${cursor}&created_by=ann`,
    `cursor=${cursor}&q=something`,
    `cursor=%00`,
  ]) {
    t.match(
      await app.request('GET', `/api/v1/commands?${query}`),
      { status: 400, body: { code: 'BAD_CURSOR' } },
      query,
    );
  }
});

t.test('the count of all is told on request, beside a page of them', async (t) => {
  const app = await startApp(t);
  await storeCommands(app.database, [
    {},
    { status: 'FAILED' },
    { status: 'FAILED', script: 'find me', createdBy: 'ann' },
  ]);
  for (const [query, total] of [
    ['count=true', '3'],
    ['count=true&limit=1&offset=2', '3'],
    ['count=true&status=FAILED', '2'],
    ['count=true&q=find+me&status=FAILED', '1'],
    ['count=true&q=nowhere', '0'],
    ['count=true&created_by=ann', '1'],
    ['count=false', undefined],
    ['', undefined],
  ] as const) {
    const { headers } = await app.request('GET', `/api/v1/commands?${query}`);
    t.equal(headers['x-total-count'], total, query);
  }
});

t.test('an answer has the fields that are asked for, in a list and of one command', async (t) => {
  const { request, submit, reaches } = await startApp(t);
  const uuid = await submit('echo hi');
  const whole = await reaches(uuid, 'EXECUTED');
  const { output, output_preview, ...rest } = whole;
  t.match({ output, output_preview }, { output: 'hi\n', output_preview: false });
  for (const [query, expected] of [
    ['fields=command_uuid,status', { command_uuid: uuid, status: 'EXECUTED' }],
    ['fields=output', { output: 'hi\n' }],
    ['fields=output_bytes,output&output=false', { output_bytes: 3 }],
    ['output=false', rest],
    ['output=true', whole],
  ] as const) {
    const inList = 'inputs' in expected ? { ...expected, inputs: null } : expected;
    t.same((await request('GET', `/api/v1/commands?${query}`)).body, [inList], query);
    t.same((await request('GET', `/api/v1/commands/${uuid}?${query}`)).body, expected, `one: ${query}`);
  }
  for (const query of [
    'fields=',
    'fields=id',
    'fields=status,',
    'fields=status&fields=script',
    'output=no',
    'output=',
  ]) {
    for (const path of ['', `/${uuid}`]) {
      const { status, body } = await request('GET', `/api/v1/commands${path}?${query}`);
      t.match({ status, body }, { status: 400, body: { code: 'INVALID_REQUEST' } }, `${path} ${query}`);
    }
  }
});
