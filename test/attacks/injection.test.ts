/** What is sent comes back in no other place, leads to no other file, and becomes no part of the program. */
import t from 'tap';
import { startTarget } from '../helpers/attack.ts';

const JSON_TYPE = 'Content-Type: application/json';

t.test('no line break gets into a header of an answer', async (t) => {
  const { head, send, submit, request, unharmed } = await startTarget(t);
  const uuid = await submit('exit 0');
  await submit('exit 0');
  const EVIL = [
    '%0d%0aEvil:%20yes',
    '%0aEvil:%20yes',
    '%E5%98%8D%E5%98%8AEvil:%20yes',
    '%250d%250aEvil:%20yes',
    '%00Evil:%20yes',
  ];
  const body = JSON.stringify({ script: 'exit 0' });
  const creation = (...headers: string[]) =>
    head('POST /api/v1/commands HTTP/1.1', JSON_TYPE, `Content-Length: ${body.length}`, ...headers) + body;
  const rows: [what: string, bytes: string][] = [
    ...EVIL.flatMap((evil): [string, string][] => [
      [`X-Request-Id: ${evil}`, head('GET /manage/health HTTP/1.1', `X-Request-Id: ${evil}`)],
      [`Idempotency-Key: ${evil}`, creation(`Idempotency-Key: ${evil}`)],
      [`Prefer: ${evil}`, head(`GET /api/v1/commands/${uuid} HTTP/1.1`, `Prefer: wait=0${evil}`)],
      [`Last-Event-ID: ${evil}`, head(`GET /api/v1/commands/${uuid}/output HTTP/1.1`, `Last-Event-ID: ${evil}`)],
      [`Last-Event-ID: ${evil} of events`, head('GET /api/v1/events HTTP/1.1', `Last-Event-ID: ${evil}`)],
      [`If-None-Match: ${evil}`, head(`GET /api/v1/commands/${uuid} HTTP/1.1`, `If-None-Match: "${evil}"`)],
      [`Range: ${evil}`, head(`GET /api/v1/commands/${uuid}/output HTTP/1.1`, `Range: bytes=0-${evil}`)],
      [`Link of q=${evil}`, head(`GET /api/v1/commands?limit=1&q=exit${evil} HTTP/1.1`)],
      [`Link of label.a=${evil}`, head(`GET /api/v1/commands?limit=1&label.a=${evil} HTTP/1.1`)],
      [`Link of fields=${evil}`, head(`GET /api/v1/commands?limit=1&fields=script${evil} HTTP/1.1`)],
      [`Link of cursor=${evil}`, head(`GET /api/v1/commands?limit=1&cursor=${evil} HTTP/1.1`)],
      [`a path of ${evil}`, head(`GET /api/v1/commands/${evil} HTTP/1.1`)],
      [`a page of ${evil}`, head(`GET /docs/${evil} HTTP/1.1`)],
    ]),
    ['X-Request-Id with a line feed', head('GET /manage/health HTTP/1.1', 'X-Request-Id: a\nEvil: yes')],
    ['X-Request-Id with a carriage return', head('GET /manage/health HTTP/1.1', 'X-Request-Id: a\rEvil: yes')],
    ['Idempotency-Key with a line feed', creation('Idempotency-Key: a\nEvil: yes')],
  ];
  for (const [what, bytes] of rows) {
    const { text, statuses } = await send(bytes);
    t.notMatch(text, /^Evil:/im, what);
    t.match(statuses, /^[234]\d\d( 200)?$/, `${what}: no 5xx`);
  }
  const { text } = await send(head('GET /api/v1/commands?limit=1&q=exit%200 HTTP/1.1'));
  t.match(text, /^link: <\/api\/v1\/commands\?limit=1&q=exit\+0&cursor=[\w-]+>; rel="next"\r$/im, 'a Link stays one');
  await request('DELETE', '/api/v1/commands?status=EXECUTED,FAILED,STOPPED');
  for (;;) {
    const { body: left } = await request('GET', '/api/v1/commands?fields=command_uuid');
    if (left.length === 0) break;
    await request('DELETE', `/api/v1/commands/${left[0].command_uuid}`);
  }
  await unharmed('line breaks');
});

t.test('no path leads out of where it should', async (t) => {
  const { head, send, unharmed } = await startTarget(t);
  const up = ['..', '%2e%2e', '.%2e', '%252e%252e', '..;', '....', '%c0%ae%c0%ae', '..%00', '%uff0e%uff0e', '.'];
  const slashes = ['/', '%2f', '%5c', '%252f', '//', '/./', '%c0%af'];
  const files = ['etc/passwd', 'package.json', 'etc/passwd%00.js'];
  const climbs = up.flatMap((dots) =>
    slashes.flatMap((slash) => files.map((file) => `${`${dots}${slash}`.repeat(8)}${file}`)),
  );
  const places = (path: string) => [
    `/docs/static/${path}`,
    `/docs/${path}`,
    `/${path}`,
    `/api/v1/commands/${path}`,
    `/api/v1/commands/${path}/output`,
    `/manage/${path}`,
  ];
  const wrong: string[] = [];
  const ask = async (target: string) => {
    const { text, statuses } = await send(head(`GET ${target} HTTP/1.1`));
    if (/root:|"dependencies"/.test(text) || !/^(400|403|404)( 200)?$/.test(statuses))
      wrong.push(`${target}: ${statuses}`);
  };
  for (const climb of climbs) await Promise.all(places(climb).map(ask));
  for (const path of [
    '/etc/passwd',
    'C:%5cwindows%5cwin.ini',
    '%00',
    '~root/.bashrc',
    'file:///etc/passwd',
    '%ff%fe',
  ]) {
    await Promise.all(places(path).map(ask));
  }
  t.same(wrong, []);
  await unharmed('paths');
});

t.test('no key becomes a property of every object', async (t) => {
  const { request, payload, send, head, post, unharmed, app } = await startTarget(t);
  const script = JSON.parse(payload).script as string;
  const dirt = '{"polluted":true,"script":"exit 1","wait":1}';
  const bodies = [
    `{"script":${JSON.stringify(script)},"__proto__":${dirt}}`,
    `{"script":${JSON.stringify(script)},"constructor":{"prototype":${dirt}}}`,
    `{"__proto__":{"script":${JSON.stringify(script)}}}`,
    `{"script":${JSON.stringify(script)},"env":{"__proto__":${dirt}}}`,
    `{"script":${JSON.stringify(script)},"env":{"__proto__":"x"}}`,
    `{"script":${JSON.stringify(script)},"env":{"constructor":{"prototype":${dirt}}}}`,
    `{"script":${JSON.stringify(script)},"secret_env":{"__proto__":"xxxxxxxx"}}`,
    `{"script":${JSON.stringify(script)},"labels":{"__proto__":"x"}}`,
    `{"script":${JSON.stringify(script)},"labels":{"a":{"__proto__":${dirt}}}}`,
    `{"script":${JSON.stringify(script)},"stdin":{"__proto__":{"base64":""}}}`,
    `{"script":${JSON.stringify(script)},"args":[{"__proto__":${dirt}}]}`,
    `{"script":${JSON.stringify(script)},"\\u005f_proto__":${dirt}}`,
    `{"script":${JSON.stringify(script)},"__pro\\u0074o__":${dirt}}`,
    `[{"__proto__":${dirt}}]`,
    '{"__proto__":null}',
  ];
  for (const body of bodies) {
    t.match((await send(post([JSON_TYPE], body))).statuses, /^400/, body);
    await unharmed(body);
  }
  for (const query of [
    '__proto__=1',
    '__proto__[polluted]=1',
    '__proto__.polluted=1',
    'constructor.prototype.polluted=1',
    'constructor[prototype][polluted]=1',
    'label.__proto__=1',
    'label.__proto__.polluted=1',
    'label.constructor.prototype.polluted=1',
    'fields=__proto__',
    'fields=constructor,prototype',
    'status=__proto__',
    'toString=1',
  ]) {
    const { text, statuses } = await send(head(`GET /api/v1/commands?${query} HTTP/1.1`));
    t.match(statuses, /^(400|200) 200$/, query);
    if (!query.startsWith('label.constructor')) t.match(text, /INVALID_REQUEST/, query);
  }
  for (const path of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty']) {
    for (const rest of ['', '/output', '/transitions']) {
      t.match((await request('GET', `/api/v1/commands/${path}${rest}`)).status, 404, path + rest);
    }
    t.match(await request('PUT', `/api/v1/commands/${path}/pin`), { status: 404 }, path);
  }
  t.equal('polluted' in {}, false);
  t.equal('script' in {}, false);
  t.match(app.server.listening, true);
  await unharmed('prototypes');
});
