/** Requests over bare sockets from those who do not belong: pages of other origins, other names, wrong tokens. */
import t from 'tap';
import { Keyring } from '../../src/access/keyring.ts';
import { startTarget } from '../helpers/attack.ts';

const TOKEN = `shv_${'a'.repeat(43)}`;
const JSON_TYPE = 'Content-Type: application/json';

/** All that can be asked for, streams, documentation and readiness too. */
const TARGETS = [
  'GET /api/v1/commands',
  'GET /api/v1/commands/00000000-0000-4000-8000-000000000001',
  'GET /api/v1/commands/00000000-0000-4000-8000-000000000001/output?follow=true',
  'GET /api/v1/events',
  'DELETE /api/v1/commands?status=EXECUTED',
  'GET /docs/',
  'GET /docs/json',
  'GET /docs/static/index.html',
  'GET /manage/health',
  'GET /manage/ready',
  'GET /manage/metrics',
  'GET /nothing',
];

t.test('nothing comes of what is sent to another name, or by a page of another origin', async (t) => {
  const { head, payload, port, host, send, unharmed } = await startTarget(t);
  const own = `Host: ${host}`;
  const rows: [what: string, headers: string[], statuses: string][] = [
    ['a name that points here', [`Host: evil.test:${port}`], '403'],
    ['0.0.0.0', [`Host: 0.0.0.0:${port}`], '403'],
    ['a short form of 127.0.0.1', [`Host: 127.1:${port}`], '403'],
    ['an address of others', ['Host: 10.0.0.7'], '403'],
    ['a name that only begins as ours', [`Host: localhost.evil.test:${port}`], '403'],
    ['a user in the host', [`Host: localhost@evil.test:${port}`], '403'],
    ['no Host', [], '400'],
    ['an empty Host', ['Host:'], '403'],
    ['two Hosts', [own, 'Host: evil.test'], '403'],
    ['two Hosts, the other first', ['Host: evil.test', own], '403'],
    ['Origin: null', [own, 'Origin: null'], '403'],
    ['a foreign origin', [own, 'Origin: http://evil.test'], '403'],
    ['another port of this machine', [own, 'Origin: http://127.0.0.1:1'], '403'],
    ['another name of this machine', [own, `Origin: http://localhost:${port}`], '403'],
    ['two Origins', [own, `Origin: http://${host}`, 'Origin: http://evil.test'], '403'],
    ['an empty Origin', [own, 'Origin:'], '403'],
    [
      'a picture of another site',
      [own, 'Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: no-cors', 'Sec-Fetch-Dest: image'],
      '403',
    ],
  ];
  const request = (line: string, headers: string[], body = '') =>
    [`${line} HTTP/1.1`, ...headers, JSON_TYPE, `Content-Length: ${body.length}`, '', ''].join('\r\n') + body;
  for (const [what, headers, status] of rows) {
    const lines = what === 'a picture of another site' ? TARGETS.filter((line) => line.startsWith('GET')) : TARGETS;
    const ask = async (line: string) => {
      const { statuses, text } = await send(request(line, headers, line.startsWith('POST') ? payload : ''));
      t.match(statuses, new RegExp(`^${status}( 200)?$`), `${what}: ${line}`);
      t.notMatch(text, /access-control-allow/i, `${what}: no leave by CORS`);
    };
    await Promise.all(['POST /api/v1/commands', 'POST /api/v1/durables/commands', ...lines].map(ask));
    await unharmed(what);
  }
  const preflight = head(
    'OPTIONS /api/v1/commands HTTP/1.1',
    'Origin: http://evil.test',
    'Access-Control-Request-Method: POST',
  );
  const { text, statuses } = await send(preflight);
  t.match(statuses, /^403/, 'a preflight');
  t.notMatch(text, /access-control-allow/i);
});

t.test('nothing comes of a wrong token, wherever it stands', async (t) => {
  const access = { keyring: new Keyring({ token: TOKEN }), docs: ['read'] as const };
  const { head, payload, send, unharmed } = await startTarget(t, { access });
  const guarded = TARGETS.filter((line) => !/health|ready/.test(line));
  const rows: [what: string, ...headers: string[]][] = [
    ['none'],
    ['another', `Authorization: Bearer shv_${'b'.repeat(43)}`],
    ['an empty one', 'Authorization: Bearer '],
    ['an empty header', 'Authorization:'],
    ['a part of it', `Authorization: Bearer ${TOKEN.slice(0, -1)}`],
    ['more than it', `Authorization: Bearer ${TOKEN}a`],
    ['a huge one', `Authorization: Bearer ${'a'.repeat(15_000)}`],
    ['it in capital letters', `Authorization: Bearer ${TOKEN.toUpperCase()}`],
    ['it without its scheme', `Authorization: ${TOKEN}`],
    ['it as a password', `Authorization: Basic ${Buffer.from(`x:${TOKEN}`).toString('base64')}`],
    ['it in two headers', `Authorization: Bearer ${TOKEN}`, `Authorization: Bearer ${TOKEN}`],
    ['it behind another', 'Authorization: Bearer x', `Authorization: Bearer ${TOKEN}`],
    ['it in a cookie', `Cookie: token=${TOKEN}`],
    ['it in a header of its own', `X-Token: ${TOKEN}`],
    ['it for a proxy', `Proxy-Authorization: Bearer ${TOKEN}`],
    ['the name of a property', 'Authorization: Bearer __proto__'],
  ];
  const post = (query: string, headers: string[], body = payload) =>
    head(`POST /api/v1/commands${query} HTTP/1.1`, ...headers, JSON_TYPE, `Content-Length: ${body.length}`) + body;
  for (const [what, ...headers] of rows) {
    t.match((await send(post('', headers))).statuses, /^401( 200)?$/, `${what}: POST`);
    const ask = async (line: string) => {
      const { statuses, text } = await send(head(`${line} HTTP/1.1`, ...headers));
      t.match(statuses, /^401( 200)?$/, `${what}: ${line}`);
      t.notMatch(text, TOKEN, `${what}: it is not told`);
    };
    await Promise.all(guarded.map(ask));
    const { text } = await send(head('GET /manage/ready HTTP/1.1', ...headers));
    t.notMatch(text, /launcher_pid|process_trees|storage/, `${what}: readiness without details`);
    await unharmed(what);
  }
  for (const query of [`?token=${TOKEN}`, `?access_token=${TOKEN}`, `?authorization=Bearer%20${TOKEN}`]) {
    t.match((await send(post(query, []))).statuses, /^401( 200)?$/, query);
  }
  await unharmed('a token in the query');
  t.match((await send(post('', [], '{'))).statuses, /^401( 200)?$/, 'refused before its body is parsed');
  t.match(
    (await send(post('', [`Authorization: Bearer ${TOKEN}`], '{'))).statuses,
    /^400/,
    'who has the token comes in',
  );
});
