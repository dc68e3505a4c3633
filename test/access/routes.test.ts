import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fastify from 'fastify';
import t, { type Test } from 'tap';
import { SCOPES } from '../../src/access/caller.ts';
import { registerGuard } from '../../src/access/guard.ts';
import { Keyring } from '../../src/access/keyring.ts';
import { lineOf } from '../../src/access/tokens.ts';
import { accessWith, as, tokenOf } from '../helpers/access.ts';
import { startApp } from '../helpers/app.ts';
import { collectRoutes } from '../helpers/routes.ts';
import { temporaryFolder } from '../helpers/server.ts';

/** Which scopes each route asks for, all of them; none: everybody may use it. One that is not here fails the test. */
const WANTED: Record<string, string[]> = {
  'POST /api/v1/commands': ['run'],
  'POST /api/v1/durables/commands': ['run'],
  'POST /api/v1/commands/:uuid/rerun': ['run', 'read'],
  'GET /api/v1/commands': ['read'],
  'DELETE /api/v1/commands': ['delete', 'read'],
  'GET /api/v1/commands/:uuid': ['read'],
  'PATCH /api/v1/commands/:uuid': ['stop'],
  'DELETE /api/v1/commands/:uuid': ['delete'],
  'GET /api/v1/commands/:uuid/output': ['read'],
  'GET /api/v1/commands/:uuid/transitions': ['read'],
  'GET /api/v1/commands/:uuid/statechart': ['read'],
  'GET /api/v1/commands/:uuid/statechart.svg': ['read'],
  'PUT /api/v1/commands/:uuid/pin': ['delete'],
  'DELETE /api/v1/commands/:uuid/pin': ['delete'],
  'GET /api/v1/events': ['read'],
  'GET /manage/health': [],
  'GET /manage/ready': [],
  'GET /manage/metrics': ['read'],
  'GET /manage/inspect': ['admin'],
  'GET /manage/nodes': ['read'],
  'POST /manage/nodes/:id/drain': ['admin'],
  'DELETE /manage/nodes/:id/drain': ['admin'],
  'GET /manage/statechart': ['read'],
  'GET /manage/statechart.svg': ['read'],
  'GET /': [],
  'GET /commands/:uuid': [],
  'GET /run': [],
  'GET /system': [],
  'GET /inspector': [],
  'GET /assets/*': [],
  'GET /docs/': [],
  'GET /docs/json': [],
  'GET /docs/yaml': [],
  'GET /docs/static/index.html': [],
  'GET /docs/static/swagger-initializer.js': [],
  'GET /docs/static/*': [],
};

const UUID = '00000000-0000-4000-8000-000000000001';

/** A keyring with a token for each set of scopes, named by them. */
function keyringWith(t: Test, ...sets: (typeof SCOPES)[number][][]): Keyring {
  const file = join(temporaryFolder(t), 'tokens');
  writeFileSync(file, sets.map((set) => lineOf(set.join('.'), set, tokenOf(set.join('.')))).join('\n'), {
    mode: 0o600,
  });
  return new Keyring({ file });
}

t.test('every route asks each token for its scope, and strangers for a token', async (t) => {
  const keyring = keyringWith(t, ...SCOPES.map((scope) => [scope]), ['run', 'read'], ['delete', 'read']);
  const { app: testApp, routes } = await collectRoutes(() => startApp(t, { access: { keyring } }));
  const address = await testApp.app.listen({ port: 0 });
  /** Only the head of an answer: some have no end. */
  const statusOf = async (method: string, url: string, authorization?: string) => {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    const end = new AbortController();
    const path = url.replace(':uuid', UUID).replace('*', 'logo.svg');
    const { status } = await fetch(address + path, { method, headers, redirect: 'manual', signal: end.signal });
    end.abort();
    return status;
  };
  const names = routes.flatMap(({ method, url }) => [method].flat().map((each) => `${each} ${url}`));
  t.same(
    [...new Set(names.filter((name) => !name.startsWith('HEAD ') && name !== 'GET /docs'))].sort(),
    Object.keys(WANTED).sort(),
  );

  for (const name of names) {
    const [method = '', url = ''] = name.split(' ');
    const wanted = WANTED[name.replace('HEAD ', 'GET ').replace(/\/docs$/, '/docs/')] ?? ['no such scope'];
    const stranger = await statusOf(method, url);
    t.equal(stranger === 401, wanted.length > 0, `${name} for a stranger: ${stranger}`);
    t.equal(await statusOf(method, url, 'Bearer nobodys'), 401, `${name} with a token that nobody has`);
    for (const scopes of [...SCOPES, 'run.read', 'delete.read']) {
      const has = scopes.split('.');
      const may = has[0] === 'admin' || wanted.every((scope) => has.includes(scope));
      const status = await statusOf(method, url, `Bearer ${tokenOf(scopes)}`);
      t.equal(status === 403, !may, `${name} with ${scopes}: ${status}`);
      t.not(status, 401);
    }
  }
});

t.test('a stranger does not learn which URLs there are', async (t) => {
  const { request } = await startApp(t, { access: { keyring: keyringWith(t, ['read'], ['run']) } });
  t.match(await request('GET', '/nothing'), { status: 401, body: { code: 'UNAUTHORIZED' } });
  t.match(await request('GET', '/nothing', undefined, as('read')), { status: 404, body: { code: 'NOT_FOUND' } });
});

t.test('a refusal says how to come in, and what is missing', async (t) => {
  const { request } = await startApp(t, { access: { keyring: keyringWith(t, ['read']) } });
  const none = await request('GET', '/api/v1/commands');
  t.match(none, { status: 401, body: { code: 'UNAUTHORIZED', error: /^a token is needed, in a header such as/ } });
  t.equal(none.headers['www-authenticate'], 'Bearer realm="shellvisor"');
  const wrong = await request('GET', '/api/v1/commands', undefined, { authorization: 'Bearer nobodys' });
  t.match(wrong, { status: 401, body: { error: 'this token is not known here' } });
  const less = await request('POST', '/api/v1/commands', { script: ':' }, as('read'));
  t.match(less, {
    status: 403,
    body: { code: 'SCOPE_MISSING', error: 'the token read does not have the scope run, which this needs' },
  });
  t.match(less.headers['www-authenticate'], /insufficient_scope/);
});

t.test('a token is taken from the header alone, and only as bearer', async (t) => {
  const { request } = await startApp(t, { access: { keyring: keyringWith(t, ['read']) } });
  const token = tokenOf('read');
  const status = async (authorization: string, url = '/api/v1/commands') =>
    (await request('GET', url, undefined, { authorization })).status;
  t.equal(await status(`Bearer ${token}`), 200);
  t.equal(await status(`bearer   ${token}`), 200);
  for (const header of [
    token,
    `Basic ${token}`,
    `Basic ${btoa(`read:${token}`)}`,
    'Bearer',
    'Bearer ',
    `Bearer ${token} ${token}`,
    `Bearer ${token},`,
  ]) {
    t.equal(await status(header), 401, header);
  }
  for (const url of [`/api/v1/commands?token=${token}`, `/api/v1/commands?access_token=${token}`]) {
    t.equal((await request('GET', url)).status, 401, url);
  }
  t.equal((await request('GET', '/api/v1/commands', undefined, { cookie: `token=${token}` })).status, 401);
});

t.test('a body is not looked at before its sender is known', async (t) => {
  const { app, request } = await startApp(t, { access: { keyring: keyringWith(t, ['read']) } });
  let parsed = 0;
  app.addHook('preParsing', async () => void parsed++);
  t.equal((await request('POST', '/api/v1/commands', { script: ':' })).status, 401);
  t.equal(parsed, 0);
});

t.test('readiness tells strangers only whether the server is ready', async (t) => {
  const { request } = await startApp(t, { access: { keyring: keyringWith(t, ['read'], ['run']) } });
  t.same((await request('GET', '/manage/ready')).body, { status: 'ready' });
  t.same((await request('GET', '/manage/ready', undefined, as('run'))).body, { status: 'ready' });
  t.match((await request('GET', '/manage/ready', undefined, as('read'))).body, { status: 'ready', database: 'up' });
});

t.test('the documentation can be kept for those with a token, or left out', async (t) => {
  const guarded = await startApp(t, { access: { keyring: keyringWith(t, ['read']), docs: ['read'] } });
  t.equal((await guarded.request('GET', '/docs/json')).status, 401);
  t.equal((await guarded.request('GET', '/docs/static/logo.svg')).status, 401);
  t.equal((await guarded.request('GET', '/docs/json', undefined, as('read'))).status, 200);
  const without = await startApp(t, { access: { docs: undefined } });
  t.equal((await without.request('GET', '/docs/json')).status, 404);
});

t.test('an application with a route that does not say who may use it does not start', async (t) => {
  const app = fastify();
  registerGuard(app, accessWith());
  app.get('/open', async () => 'everything');
  await t.rejects(async () => app.ready(), { message: 'GET /open does not say who may use it' });
});

t.test('a client that sends too much is told when to come again, by its token or its address', async (t) => {
  const keyring = keyringWith(t, ['read'], ['run', 'read']);
  const { request } = await startApp(t, { access: { keyring, ratePerMinute: 3 } });
  const get = (name: string, url = '/api/v1/commands') => request('GET', url, undefined, as(name));
  for (let i = 0; i < 3; i++) t.equal((await get('read')).status, 200);
  const refused = await get('read', '/api/v1/events');
  t.match(refused, {
    status: 429,
    body: { code: 'RATE_LIMITED', error: 'more than 3 requests a minute; try again later' },
  });
  t.match(Number(refused.headers['retry-after']), 60);
  t.equal((await get('read', '/nothing')).status, 429, 'what has no route counts too');
  t.equal((await get('run.read')).status, 200, 'another one is not limited by it');
  for (let i = 0; i < 5; i++) t.equal((await get('read', '/manage/health')).status, 200, 'health is always told');
  const wrong = async () =>
    (await request('GET', '/api/v1/commands', undefined, { authorization: 'Bearer nobodys' })).status;
  t.same(
    [await wrong(), await wrong(), await wrong(), await wrong()],
    [401, 401, 401, 429],
    'tokens can not be tried out',
  );
  const open = await startApp(t, { access: { ratePerMinute: 1 } });
  t.same(
    [(await open.request('GET', '/api/v1/commands')).status, (await open.request('GET', '/api/v1/commands')).status],
    [200, 429],
  );
});

t.test('answers are not for other pages, and pages have a strict policy', async (t) => {
  const { request } = await startApp(t);
  const { headers } = await request('GET', '/api/v1/commands');
  t.match(headers, {
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'cross-origin-resource-policy': 'same-origin',
    'x-content-type-options': 'nosniff',
  });
  t.notOk(Object.keys(headers).some((name) => name.startsWith('access-control-') || name === 'set-cookie'));
  const page = await request('GET', '/docs/');
  t.match(page.headers, {
    'content-type': /^text\/html/,
    'x-frame-options': 'DENY',
    'x-content-type-options': 'nosniff',
  });
  t.match(page.headers['content-security-policy'], /default-src 'none';.*script-src 'self'/);
  t.notMatch(page.headers['content-security-policy'], /unsafe/);
  t.equal(
    (
      await request('OPTIONS', '/api/v1/commands', undefined, {
        origin: 'http://localhost:80',
        'access-control-request-method': 'POST',
      })
    ).status,
    404,
  );
});

t.test('who may run and not delete can not keep a command from being deleted', async (t) => {
  const { request } = await startApp(t, { access: { keyring: keyringWith(t, ['run'], ['run', 'delete']) } });
  const post = (...scopes: (typeof SCOPES)[number][]) =>
    request('POST', '/api/v1/commands', { script: ':', pinned: true }, as(scopes.join('.')));
  t.match(await post('run'), { status: 403, body: { code: 'SCOPE_MISSING', error: /scope delete/ } });
  t.equal((await post('run', 'delete')).status, 201);
  t.equal((await request('POST', '/api/v1/commands', { script: ':', pinned: false }, as('run'))).status, 201);
});
