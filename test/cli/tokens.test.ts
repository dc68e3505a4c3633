import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { callCli } from '../helpers/cli.ts';
import { createDatabase } from '../helpers/cluster.ts';
import { freePort, startServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const call = (t: Test, args: string[], env: Record<string, string> = {}) => callCli(t, args, env).ended;

t.test(
  'a token that is made lets in at once, for what it is good for; one that is removed cuts off who has it',
  async (t) => {
    const file = join(temporaryFolder(t), 'tokens');
    const made = await call(t, ['token', 'new', 'ci', '--scope', 'run,read', '--scope', 'read', '--file', file]);
    t.match(made, {
      code: 0,
      stdout: /^shv_[\w-]{43}\n$/,
      stderr: `Added to ${file}. This is the token; nobody can show it again:\n`,
    });
    t.equal(statSync(file).mode & 0o777, 0o600);
    t.notMatch(readFileSync(file, 'utf8'), made.stdout.trim());

    const port = `${await freePort()}`;
    const server = await startServer(t, {
      DATABASE_URL: await createDatabase(t),
      PORT: port,
      SHELLVISOR_TOKEN_FILE: file,
    });
    t.match(server.stdout(), /-H "Authorization: Bearer \$SHELLVISOR_TOKEN"/);
    const env = { SHELLVISOR_URL: server.url, SHELLVISOR_TOKEN: made.stdout.trim(), SHELLVISOR_TOKEN_FILE: file };
    t.match(await call(t, ['run', 'echo in'], env), { code: 0, stdout: 'in\n' });
    t.match(await call(t, ['run', 'echo in'], { SHELLVISOR_URL: server.url }), {
      code: 125,
      stderr: /^shellvisor: a token is needed/,
    });
    const [{ command_uuid }] = JSON.parse((await call(t, ['ls', '--json'], env)).stdout);
    t.match(await call(t, ['rm', command_uuid], env), {
      code: 125,
      stdout: /the token ci does not have the scope delete/,
    });

    const other = await call(t, ['token', 'new', 'watch', '--scope', 'read'], env);
    await until(
      'the new one is in force',
      async () => (await server.request('GET', '/api/v1/commands', undefined, other.stdout.trim())).status === 200,
    );
    t.equal((await call(t, ['token', 'ls'], env)).stdout, 'NAME   SCOPES\nci     run,read\nwatch  read\n');

    const follower = await fetch(`${server.url}/api/v1/events`, {
      headers: { authorization: `Bearer ${other.stdout.trim()}` },
    });
    t.equal(follower.status, 200);
    t.match(await call(t, ['token', 'rm', 'watch'], env), { code: 0, stdout: '' });
    await t.rejects(follower.text(), 'whoever follows with it is cut off');
    t.equal((await server.request('GET', '/api/v1/commands', undefined, other.stdout.trim())).status, 401);
    t.equal(
      (await server.request('GET', '/api/v1/commands', undefined, made.stdout.trim())).status,
      200,
      'others stay',
    );
    t.same(await server.end(), { code: 0, signal: null });
  },
);

t.test('what makes no sense is refused, and changes nothing', async (t) => {
  const file = join(temporaryFolder(t), 'tokens');
  writeFileSync(file, '# ours, without a line break at the end', { mode: 0o640 });
  const env = { SHELLVISOR_TOKEN_FILE: file };
  t.match(await call(t, ['token', 'new', 'a', '--scope', 'read'], env), { code: 0 });
  t.match(readFileSync(file, 'utf8'), /^# ours, without a line break at the end\na read sha256:[0-9a-f]{64}\n$/);
  const before = readFileSync(file, 'utf8');
  for (const [args, message] of [
    [['new', 'a', '--scope', 'run'], /has a token with the name a already; remove it with: shellvisor token rm a\n$/],
    [['new', 'b'], /required option '--scope <scopes>' not specified/],
    [['new', 'b', '--scope', 'write'], /It must be some of read, run, stop, delete, admin, not "write"\./],
    [['new', 'two words', '--scope', 'read'], /It must have 1 to 63 letters, digits and \. _ -/],
    [['rm', 'a', 'b'], /has no token with the name b\n$/],
    [['ls', '--file', '/nowhere/tokens'], /^shellvisor: \/nowhere\/tokens: ENOENT/],
  ] as const) {
    t.match(await call(t, ['token', ...args], env), { code: 2, stdout: '', stderr: message }, args.join(' '));
    t.equal(readFileSync(file, 'utf8'), before);
  }
  t.match(await call(t, ['token', 'ls']), {
    code: 2,
    stderr: 'shellvisor: say which file with --file or SHELLVISOR_TOKEN_FILE\n',
  });
  chmodSync(file, 0o600);
  t.match(await call(t, ['token', 'rm', 'a'], env), { code: 0 });
  t.equal(readFileSync(file, 'utf8'), '# ours, without a line break at the end\n');
  t.equal(statSync(file).mode & 0o777, 0o600);
});
