import { once } from 'node:events';
import { connect } from 'node:net';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { startApp } from '../helpers/app.ts';

const json = { 'content-type': 'application/json' };
const MiB = 1024 * 1024;

/** Posts a raw body. */
async function poster(t: Test) {
  const { app, database } = await startApp(t);
  const post = async (payload: string | Buffer, headers: Record<string, string> = json) => {
    const response = await app.inject({ method: 'POST', url: '/api/v1/commands', payload, headers });
    return { status: response.statusCode, body: response.json(), text: response.body };
  };
  return { app, database, post };
}

t.test('each bad body is refused with what is wrong about it, and nothing is stored', async (t) => {
  const { post, database } = await poster(t);
  const cases: [name: string, body: string | Buffer, status: number, code: string, error: RegExp][] = [
    ['no script', '{}', 400, 'INVALID_REQUEST', /^script must be given$/],
    ['an empty script', '{"script":""}', 400, 'INVALID_REQUEST', /^script must be given$/],
    ['no body', '', 400, 'INVALID_REQUEST', /^script must be given$/],
    ['a script of null', '{"script":null}', 400, 'INVALID_REQUEST', /^script must be a string$/],
    ['a number as script', '{"script":7}', 400, 'INVALID_REQUEST', /^script must be a string$/],
    ['an array as script', '{"script":["a"]}', 400, 'INVALID_REQUEST', /^script must be a string$/],
    ['NUL in the script', '{"script":"a\\u0000b"}', 400, 'INVALID_REQUEST', /^script must not contain NUL/],
    ['half a surrogate pair', '{"script":"\\ud800"}', 400, 'INVALID_REQUEST', /^script must be valid Unicode$/],
    [
      'a number as description',
      '{"script":"a","description":1}',
      400,
      'INVALID_REQUEST',
      /^description must be a string$/,
    ],
    [
      'NUL in the description',
      '{"script":"a","description":"\\u0000"}',
      400,
      'INVALID_REQUEST',
      /^description must not/,
    ],
    [
      'a long description',
      JSON.stringify({ script: 'a', description: 'ü'.repeat(256) }),
      400,
      'INVALID_REQUEST',
      /255 characters/,
    ],
    ['an unknown key', '{"script":"a","durabel":true}', 400, 'INVALID_REQUEST', /^unknown: durabel$/],
    ['an array', '[]', 400, 'INVALID_REQUEST', /^the body must be a JSON object$/],
    ['a string', '"echo"', 400, 'INVALID_REQUEST', /^the body must be a JSON object$/],
    ['null', 'null', 400, 'INVALID_REQUEST', /^script must be given$/],
    ['malformed JSON', '{"script":', 400, 'INVALID_JSON', /^the body is not valid JSON/],
    ['no JSON', 'script=echo', 400, 'INVALID_JSON', /^the body is not valid JSON/],
    [
      'invalid UTF-8',
      Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]),
      400,
      'INVALID_JSON',
      /^the body is not valid UTF-8$/,
    ],
    ['__proto__', '{"script":"a","__proto__":{"x":1}}', 400, 'INVALID_JSON', /^the body is not valid JSON/],
    ['constructor.prototype', '{"script":"a","constructor":{"prototype":{}}}', 400, 'INVALID_JSON', /not valid JSON/],
    [
      'deep JSON',
      `{"script":${'['.repeat(200_000)}${']'.repeat(200_000)}}`,
      400,
      'INVALID_REQUEST',
      /^script must be a string$/,
    ],
    ['deep JSON cut off', '['.repeat(1_000_000), 400, 'INVALID_JSON', /^the body is not valid JSON/],
    ['a body of 11 MiB', JSON.stringify({ script: 'x'.repeat(11 * MiB) }), 413, 'BODY_TOO_LARGE', /11 MiB/],
    [
      'a script over 10 MiB',
      JSON.stringify({ script: 'x'.repeat(10 * MiB + 1) }),
      413,
      'SCRIPT_TOO_LARGE',
      /10485760 bytes/,
    ],
  ];
  for (const [name, body, status, code, error] of cases) {
    const answer = await post(body);
    t.match(answer, { status, body: { code, error } }, name);
    t.notMatch(answer.text, /select|insert|at .*\.ts:/i, `${name}: no SQL, no stack`);
  }
  t.same(await database.rows('SELECT * FROM commands'), []);
});

t.test('each option of a wrong value is refused by its name', async (t) => {
  const { post, database } = await poster(t);
  const sentences = {
    timeout_ms: 'must be a whole number from 1 to 2147483647',
    keep_background: 'must be true or false',
    on_output_limit: 'must be one of truncate, kill',
    nice: 'must be a whole number from 0 to 19',
    max_memory_bytes: 'must be a whole number from 16777216 to 9007199254740991',
    max_processes: 'must be a whole number from 1 to 4194304',
    max_open_files: 'must be a whole number from 16 to 2147483584',
    sandbox: 'must be true, false or {"network": true}',
    on_lost: 'must be one of fail, rerun',
  };
  const wrong = {
    timeout_ms: [0, -1, 1.5, 2 ** 31, '1000', null, true],
    keep_background: [0, 1, 'true', null],
    on_output_limit: ['', 'drop', 'Kill', null, 1, ['kill']],
    nice: [-1, 20, 0.5, '5', null],
    max_memory_bytes: [0, 1024, 2 ** 53, 1e300, '1G', null],
    max_processes: [0, -1, 2.5, 4_194_305, '10', {}],
    max_open_files: [15, -1, 16.5, 2_147_483_585, '16', [16]],
    sandbox: [null, 1, 'true', [], { net: true }],
    on_lost: ['', 'again', null, true],
  };
  for (const [name, values] of Object.entries(wrong)) {
    const error = `${name} ${sentences[name as keyof typeof wrong]}`;
    for (const value of values) {
      const { status, body } = await post(JSON.stringify({ script: 'true', [name]: value }));
      const expected = { error, code: 'INVALID_REQUEST', details: [{ path: name, message: error }] };
      t.same({ status, body }, { status: 400, body: expected }, `${name}: ${JSON.stringify(value)}`);
    }
  }
  t.same(await database.rows('SELECT * FROM commands'), []);
});

t.test(
  'a kind of node of a wrong form, or where there are no nodes, is refused, and so is what could not run again',
  async (t) => {
    const { post, database } = await poster(t);
    const node = /^node must be such as \{"label": "gpu"\}/;
    const refused = async (body: object, code: string, error: RegExp) =>
      t.match(await post(JSON.stringify({ script: 'true', ...body })), { status: 400, body: { code, error } });
    for (const wrong of [
      null,
      'gpu',
      {},
      { label: '' },
      { label: 'a b' },
      { label: 'x'.repeat(64) },
      { label: 'a', b: 1 },
    ]) {
      await refused({ node: wrong }, 'INVALID_REQUEST', node);
    }
    await refused({ node: { label: 'gpu' } }, 'OPTION_UNSUPPORTED', /SHELLVISOR_CLUSTER is on/);
    const secrets = { on_lost: 'rerun', secret_env: { TOKEN: 'swordfish' } };
    await refused(secrets, 'INVALID_REQUEST', /^on_lost must not be rerun with secret_env/);
    t.same(await database.rows('SELECT * FROM commands'), []);
  },
);

t.test('the details of a bad body name each place', async (t) => {
  const { post } = await poster(t);
  const { body } = await post('{"script":7,"description":8}');
  t.same(body.details, [
    { path: 'script', message: 'script must be a string' },
    { path: 'description', message: 'description must be a string' },
  ]);
});

t.test('a script of 10 MiB and a description of 255 characters are taken', async (t) => {
  const { post, database } = await poster(t);
  const script = `exit 0\n${'#'.repeat(10 * MiB - 7)}`;
  t.equal((await post(JSON.stringify({ script, description: '🐚'.repeat(255) }))).status, 201);
  t.same(await database.rows('SELECT octet_length(script)::int, char_length(description)::int FROM commands'), [
    { octet_length: 10 * MiB, char_length: 255 },
  ]);
});

t.test('any other type than JSON is refused', async (t) => {
  const { post, database } = await poster(t);
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/json',
    'application/jsonp',
    'application/json\tx',
    'application/json, text/plain',
  ]) {
    const { status, body } = await post('{"script":"true"}', { 'content-type': type });
    t.match({ status, body }, { status: 415, body: { code: 'UNSUPPORTED_MEDIA_TYPE' } }, type);
  }
  t.match(await post('{"script":"true"}', {}), { status: 415 }, 'no type');
  t.equal((await post('{"script":"true"}', { 'content-type': 'application/json; charset=utf-8' })).status, 201);
  t.equal((await database.rows('SELECT * FROM commands')).length, 1);
});

t.test('each bad query is refused with the name of the parameter', async (t) => {
  const { app } = await poster(t);
  for (const [query, error] of [
    ['limit=seven', /^limit must be a whole number from 1 to 1000$/],
    ['limit=0', /^limit must be/],
    ['limit=-1', /^limit must be/],
    ['limit=1001', /^limit must be/],
    ['limit=99999999999', /^limit must be/],
    ['limit=1.5', /^limit must be/],
    ['limit=', /^limit must be/],
    ['limit=1&limit=2', /^limit must be/],
    ['limit=%00', /^limit must be/],
    ['offset=1e9', /^offset must be a whole number from 0 to 10000000$/],
    ['offset=1000000000', /^offset must be/],
    ['offset=-1', /^offset must be/],
    ['status=WHATEVER', /^status must be one of QUEUED, EXECUTING, EXECUTED, FAILED, STOPPED$/],
    ['status=', /^status must be one of/],
    ['status=EXECUTED,', /^status must be one of/],
    ['status=EXECUTED&status=failed', /^status must be one of/],
    ['durable=yes', /^durable must be true or false$/],
    ['reason=why', /^reason must be one of exit, signal, timeout/],
    ['reason=exit,signal', /^reason must be one of/],
    ['exit_code=256', /^exit_code must be a whole number from 0 to 255$/],
    ['exit_code=-1', /^exit_code must be/],
    ['created_after=yesterday', /^created_after must be a time such as 2026-11-23T22:51:26Z$/],
    ['created_after=2026-02-30T00:00:00Z', /^created_after must be a time/],
    ['created_before=2026-01-01', /^created_before must be a time/],
    ['created_before=0000-01-01T00:00:00Z', /^created_before must be a time/],
    ['created_before=9999-12-31T23:59:59-23:59', /^created_before must be a time/],
    ['q=ab', /^q must be at least 3 characters long$/],
    [`q=${'x'.repeat(201)}`, /^q must be at most 200 characters long$/],
    ['q=abc%00', /^q must be Unicode without NUL$/],
    ['q=abc&q=def', /^q must be a text of 3 to 200 characters$/],
    ['label=env', /^label must be written as label.NAME=VALUE$/],
    ['label.=x', /^label. must be the name of a label$/],
    ['label.a%20b=x', /^label.a b must be the name of a label$/],
    ['label.a=x&label.a=y', /^label.a must be given once, as text$/],
    ['label.a=%00', /^label.a must be given once, as text$/],
    ['label.__proto__=x', /^label.__proto__ must be the name of a label$/],
    ['count=1', /^count must be true or false$/],
    ['offset=1&cursor=abc', /^offset must not be given with a cursor$/],
    ['offset=1&q=abc', /^offset must not be given with q;/],
    ['cursor=a&cursor=b', /^cursor must be given once$/],
    ['order=desc', /^unknown: order$/],
    ['__proto__=1', /^unknown: __proto__$/],
  ] as const) {
    const response = await app.inject(`/api/v1/commands?${query}`);
    t.match(
      { status: response.statusCode, ...response.json() },
      { status: 400, code: 'INVALID_REQUEST', error },
      query,
    );
  }
});

t.test('whatever is sent as body or query, the answer is never a 5xx and holds no SQL', async (t) => {
  const { app } = await poster(t);
  const anything = fc.oneof(
    fc.jsonValue(),
    fc.record({ script: fc.jsonValue(), description: fc.jsonValue() }, { requiredKeys: [] }),
    fc.record({ script: fc.constant('true'), description: fc.string({ unit: 'binary', maxLength: 300 }) }),
    fc.record({ script: fc.constant('true'), timeout_ms: fc.jsonValue(), nice: fc.jsonValue() }),
  );
  const ok = (status: number, text: string) => status < 500 && !/\bSELECT|INSERT|node_modules/.test(text);
  await fc.assert(
    fc.asyncProperty(anything, async (value) => {
      const body = JSON.stringify(value);
      const response = await app.inject({ method: 'POST', url: '/api/v1/commands', payload: body, headers: json });
      return ok(response.statusCode, response.body);
    }),
    { numRuns: 200 },
  );
  const text = fc.string({ unit: 'binary', maxLength: 40 });
  const PARAMETERS = ['limit', 'offset', 'status', 'q', 'cursor', 'fields', 'exit_code', 'created_after', 'x'];
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...PARAMETERS), text, text, async (name, value, path) => {
      const query = new URLSearchParams({ [name]: value.toWellFormed() });
      const list = await app.inject(`/api/v1/commands?${query}`);
      const one = await app.inject(`/api/v1/commands/${encodeURIComponent(path.toWellFormed())}`);
      return ok(list.statusCode, list.body) && ok(one.statusCode, one.body);
    }),
    { numRuns: 200 },
  );
});

t.test('what is not even HTTP is answered as an error as well', async (t) => {
  const { app } = await poster(t);
  await app.listen({ port: 0 });
  const { port } = app.server.address() as { port: number };
  const send = async (text: string) => {
    const socket = connect(port, '127.0.0.1').setEncoding('utf8');
    socket.end(text);
    let answer = '';
    socket.on('data', (part) => {
      answer += part;
    });
    await once(socket, 'close');
    return answer;
  };
  const nonsense = await send('what is this\r\n\r\n');
  t.match(nonsense, /^HTTP\/1\.1 400 /);
  t.match(nonsense, /\{"error":"the request is not valid HTTP","code":"BAD_REQUEST"\}$/);
  const flood = await send(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`);
  t.match(flood, /^HTTP\/1\.1 431 /);
  t.match(flood, /"code":"HEADERS_TOO_LARGE"/);
  const url = await send('GET /api/v1/commands/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  t.match(url, /"code":"BAD_URL"/);
});
