import t from 'tap';
import { startApp } from '../helpers/app.ts';
import { processesWith, uniqueSeconds } from '../helpers/processes.ts';
import { until } from '../helpers/until.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const unknown = '11111111-2222-4333-8444-555555555555';
const notFound = { status: 404, body: { error: 'there is no command with this uuid', code: 'COMMAND_NOT_FOUND' } };

t.test('a regular command is created, runs, and shows all about itself', async (t) => {
  const { request, reaches } = await startApp(t);
  const { status, body, headers } = await request('POST', '/api/v1/commands', {
    script: 'echo out; exit 3',
    description: 'says out',
  });
  t.equal(status, 201);
  t.same(Object.keys(body), ['uuid']);
  t.match(body.uuid, UUID);
  t.equal(headers.location, `/api/v1/commands/${body.uuid}`);
  const command = await reaches(body.uuid, 'FAILED');
  const { created_at, started_at, ended_at, duration_ms, ...rest } = command;
  t.same(rest, {
    command_uuid: body.uuid,
    description: 'says out',
    script: 'echo out; exit 3',
    status: 'FAILED',
    output: 'out\n',
    durable: false,
    options: {},
    inputs: {},
    labels: {},
    rerun_of: null,
    created_by: null,
    pinned: false,
    progress: null,
    reason: 'exit',
    exit_code: 3,
    signal: null,
    error: null,
    stopped_by: null,
    node: null,
    output_bytes: 4,
    output_truncated: false,
    script_preview: false,
    output_preview: false,
  });
  t.ok(created_at <= started_at && started_at <= ended_at);
  t.ok(duration_ms > 0);
});

t.test('a durable command shows its output while it runs', async (t) => {
  const { request, submit } = await startApp(t);
  const uuid = await submit('echo now; sleep 1000', '/api/v1/durables/commands');
  const command = await until('it shows', async () => {
    const { body } = await request('GET', `/api/v1/commands/${uuid}`);
    return body.output === 'now\n' ? body : null;
  });
  t.match(command, { status: 'EXECUTING', durable: true, output_bytes: 4, exit_code: null, ended_at: null });
});

t.test('a regular command shows its output when it has ended, not before', async (t) => {
  const { request, submit } = await startApp(t);
  const seconds = uniqueSeconds();
  const uuid = await submit(`echo later; sleep ${seconds}`);
  await until('it has printed', () => processesWith(`sleep\0${seconds}`).length > 0);
  t.match((await request('GET', `/api/v1/commands/${uuid}`)).body, {
    status: 'EXECUTING',
    output: '',
    output_bytes: 0,
  });
  await request('PATCH', `/api/v1/commands/${uuid}`);
  t.match((await request('GET', `/api/v1/commands/${uuid}`)).body, { status: 'STOPPED', output: 'later\n' });
});

t.test('an output of invalid UTF-8, NUL and characters cut by the other stream reads as well as it can', async (t) => {
  const { submit, reaches } = await startApp(t);
  // An emoji in two halves on stdout, something on stderr between them.
  const cut = await submit("printf '\\xf0\\x9f'; sleep 0.2; printf E >&2; sleep 0.2; printf '\\x90\\x9a'");
  t.match([...(await reaches(cut, 'EXECUTED')).output].sort().join(''), 'E🐚');
  const broken = await submit("printf 'a\\xffb\\0c\\xf0\\x9f'");
  t.match(await reaches(broken, 'EXECUTED'), { output: 'a\ufffdb\0c\ufffd', output_bytes: 7 });
  const bom = await submit("printf '\\xef\\xbb\\xbfx'");
  t.equal((await reaches(bom, 'EXECUTED')).output, '\ufeffx');
});

t.test('the list is newest first, by pages, by status', async (t) => {
  const { request, submit, reaches } = await startApp(t);
  t.match(await request('GET', '/api/v1/commands'), { status: 200, body: [] });
  const uuids: string[] = [];
  for (let i = 0; i < 12; i++) uuids.push(await submit(`exit ${i % 2}`));
  for (const [i, uuid] of uuids.entries()) await reaches(uuid, i % 2 === 0 ? 'EXECUTED' : 'FAILED');
  const list = async (query: string) =>
    (await request('GET', `/api/v1/commands${query}`)).body.map((c: { command_uuid: string }) =>
      uuids.indexOf(c.command_uuid),
    );
  t.same(await list(''), [11, 10, 9, 8, 7, 6, 5, 4, 3, 2], 'ten unless told otherwise');
  t.same(await list('?limit=3'), [11, 10, 9]);
  t.same(await list('?limit=3&offset=10'), [1, 0]);
  t.same(await list('?offset=12'), []);
  t.same(await list('?status=FAILED&limit=4'), [11, 9, 7, 5]);
  t.same(await list('?status=FAILED&limit=4&offset=4'), [3, 1]);
  t.same(await list('?status=QUEUED'), []);
  t.equal((await list('?limit=1000')).length, 12);
});

t.test('a list shows the first 64 KiB of each output, a single command all of it', async (t) => {
  const { request, submit, reaches } = await startApp(t);
  const uuid = await submit('head -c 100000 /dev/zero | tr "\\0" x; echo end');
  const command = await reaches(uuid, 'EXECUTED');
  t.match(command, { output_bytes: 100_004, output_preview: false });
  t.equal(command.output.length, 100_004);
  const [row] = (await request('GET', '/api/v1/commands')).body;
  t.match(row, { output: 'x'.repeat(65_536), output_bytes: 100_004, output_preview: true });
});

t.test('a list of large scripts stays small', async (t) => {
  const { request, submit } = await startApp(t, { maxParallel: 1 });
  await submit('sleep 1000');
  for (let i = 0; i < 20; i++) await submit(`echo ${'x'.repeat(1024 * 1024)}`);
  const { body } = await request('GET', '/api/v1/commands?limit=1000');
  t.match(body[0], { script_preview: true, script: /^echo x{8000}/ });
  t.ok(JSON.stringify(body).length < 1024 * 1024);
  const { body: whole } = await request('GET', `/api/v1/commands/${body[0].command_uuid}`);
  t.match([whole.script_preview, whole.script.length], [false, 1024 * 1024 + 5]);
});

t.test('a uuid in capital letters is the same uuid', async (t) => {
  const { request, submit } = await startApp(t);
  const uuid = await submit('true');
  t.equal((await request('GET', `/api/v1/commands/${uuid.toUpperCase()}`)).body.command_uuid, uuid);
});

t.test('what is not there is a 404, and so is what is no uuid', async (t) => {
  const { request } = await startApp(t);
  for (const method of ['GET', 'PATCH', 'DELETE'] as const) {
    for (const uuid of [unknown, 'seven', '1', "'; DROP TABLE commands; --", '%00', `${unknown}0`, 'x'.repeat(99)]) {
      const { status, body } = await request(method, `/api/v1/commands/${encodeURIComponent(uuid)}`);
      t.match({ status, body }, notFound, `${method} ${uuid}`);
    }
  }
  t.match(await request('GET', '/nowhere'), { status: 404, body: { code: 'NOT_FOUND' } });
  t.match(await request('POST', `/api/v1/commands/${unknown}`, {}), { status: 404, body: { code: 'NOT_FOUND' } });
});

t.test('a stop is answered when the whole tree is dead and STOPPED is stored', async (t) => {
  const { request, submit } = await startApp(t, { stopGraceMs: 200 });
  const seconds = uniqueSeconds();
  const uuid = await submit(`echo hi; (setsid sleep ${seconds} &); trap '' TERM; sleep ${seconds}; sleep ${seconds}`);
  await until('it sleeps', () => processesWith(seconds).length >= 2);
  t.match(await request('PATCH', `/api/v1/commands/${uuid}`), {
    status: 200,
    body: { message: 'command stopped successfully' },
  });
  t.same(processesWith(seconds), []);
  t.match((await request('GET', `/api/v1/commands/${uuid}`)).body, {
    status: 'STOPPED',
    reason: 'stop',
    exit_code: null,
    signal: 'SIGKILL',
    output: 'hi\n',
  });
  t.match(await request('PATCH', `/api/v1/commands/${uuid}`), { status: 200 }, 'again');
});

t.test('a queued command that is stopped never runs', async (t) => {
  const { request, submit } = await startApp(t, { maxParallel: 1 });
  await submit('sleep 1000');
  const uuid = await submit('echo never');
  t.equal((await request('GET', `/api/v1/commands/${uuid}`)).body.status, 'QUEUED');
  t.equal((await request('PATCH', `/api/v1/commands/${uuid}`)).status, 200);
  t.match((await request('GET', `/api/v1/commands/${uuid}`)).body, {
    status: 'STOPPED',
    output: '',
    started_at: null,
    duration_ms: null,
  });
});

t.test('a stop of what has ended by itself is a conflict', async (t) => {
  const { request, submit, reaches } = await startApp(t);
  for (const [script, status] of [
    ['true', 'EXECUTED'],
    ['false', 'FAILED'],
  ] as const) {
    const uuid = await submit(script);
    await reaches(uuid, status);
    t.match(await request('PATCH', `/api/v1/commands/${uuid}`), {
      status: 409,
      body: { code: 'COMMAND_ENDED', error: `the command has already ended as ${status}` },
    });
  }
});

t.test('a hundred stops and deletes that race with the exit leave one truth', async (t) => {
  const { request, submit } = await startApp(t);
  await Promise.all(
    Array.from({ length: 100 }, async (_, i) => {
      const uuid = await submit(`sleep 0.0${i % 10}; echo done`);
      const stop = await request('PATCH', `/api/v1/commands/${uuid}`);
      const { body } = await request('GET', `/api/v1/commands/${uuid}`);
      if (stop.status === 200) t.match(body, { status: 'STOPPED', reason: 'stop' });
      else t.match([stop.status, body.status, body.output], [409, 'EXECUTED', 'done\n']);
      t.equal((await request('DELETE', `/api/v1/commands/${uuid}`)).status, 204);
    }),
  );
});

t.test('a delete takes a command with its output, stopping it first', async (t) => {
  const { request, submit, database } = await startApp(t);
  const seconds = uniqueSeconds();
  const uuid = await submit(`echo hi; sleep ${seconds}`, '/api/v1/durables/commands');
  await until('it sleeps', () => processesWith(seconds).length > 0);
  const { status, body } = await request('DELETE', `/api/v1/commands/${uuid}`);
  t.same([status, body], [204, '']);
  t.same(processesWith(seconds), []);
  t.match(await request('GET', `/api/v1/commands/${uuid}`), notFound);
  t.match(await request('DELETE', `/api/v1/commands/${uuid}`), notFound);
  t.same(await database.rows('SELECT * FROM command_output'), []);
});

t.test('a full queue is told with when to try again', async (t) => {
  const { request, submit } = await startApp(t, { maxParallel: 1, maxQueued: 1 });
  await submit('sleep 1000');
  await submit('sleep 1000');
  const { status, body, headers } = await request('POST', '/api/v1/commands', { script: 'true' });
  t.match({ status, body }, { status: 429, body: { code: 'QUEUE_FULL' } });
  t.equal(headers['retry-after'], '1');
});

t.test('a command that runs longer than the server allows is ended', async (t) => {
  const { submit, reaches } = await startApp(t, { timeoutMs: 100 });
  const uuid = await submit('echo begun; sleep 1000');
  t.match(await reaches(uuid, 'FAILED'), { reason: 'timeout', signal: 'SIGTERM', output: 'begun\n' });
});

t.test('a command may say how long it may run, within what the server allows', async (t) => {
  const { request, reaches } = await startApp(t, { timeoutMs: 60_000, maxTimeoutMs: 100_000 });
  const { body } = await request('POST', '/api/v1/commands', { script: 'sleep 1000', timeout_ms: 100 });
  t.match(await reaches(body.uuid, 'FAILED'), { reason: 'timeout', options: { timeout_ms: 100 } });
  t.match(await request('POST', '/api/v1/commands', { script: 'true', timeout_ms: 100_001 }), {
    status: 400,
    body: { code: 'TIMEOUT_TOO_LONG', error: 'timeout_ms must be at most 100000, the maximum of this server' },
  });
});

t.test('no command runs longer than the maximum of the server, whatever its default', async (t) => {
  for (const timeoutMs of [undefined, 60_000]) {
    const { submit, reaches } = await startApp(t, { timeoutMs, maxTimeoutMs: 100 });
    t.match(await reaches(await submit('sleep 1000'), 'FAILED'), { reason: 'timeout', options: {} });
  }
});

t.test('a command shows how its client wanted it run, and only that', async (t) => {
  const { request, submit } = await startApp(t, { maxParallel: 1 });
  await submit('sleep 1000');
  const options = {
    timeout_ms: 2_147_483_647,
    keep_background: false,
    on_output_limit: 'kill',
    nice: 19,
    max_memory_bytes: 2 ** 40,
  };
  for (const given of [options, { nice: 0 }]) {
    const { body } = await request('POST', '/api/v1/durables/commands', { script: 'true', ...given });
    t.same((await request('GET', `/api/v1/commands/${body.uuid}`)).body.options, given);
    t.same((await request('GET', '/api/v1/commands?limit=1')).body[0].options, given, 'in the list too');
  }
});

t.test('health is told in plain text', async (t) => {
  const { request } = await startApp(t);
  const { status, body, headers } = await request('GET', '/manage/health');
  t.same([status, body, headers['content-type']], [200, 'Status OK', 'text/plain; charset=utf-8']);
});
