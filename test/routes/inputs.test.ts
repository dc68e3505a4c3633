import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startApp } from '../helpers/app.ts';
import { temporaryFolder } from '../helpers/server.ts';

/** Runs scripts with inputs to their end. */
async function runnerOf(t: Test, options = {}) {
  const app = await startApp(t, options);
  const run = async (script: string, inputs: object, status = 'EXECUTED', path = '/api/v1/commands') => {
    const answer = await app.request('POST', path, { script, ...inputs });
    t.equal(answer.status, 201, JSON.stringify(answer.body).slice(0, 300));
    return app.reaches(answer.body.uuid, status);
  };
  return { ...app, run };
}

t.test('a script gets its variables, its arguments and its folder, and shows them again', async (t) => {
  const { run, request } = await runnerOf(t);
  const cwd = temporaryFolder(t);
  const env = { GREETING: "it's größer\n$HOME", EMPTY: '', PATH: '/bin:/usr/bin', HOME: cwd };
  const args = ['two words', '', '-n', '$(touch x)', 'ü\n'];
  const script = 'printf "%s|" "$0" $# "$@" "$GREETING" "${EMPTY-unset}" "$PATH" ~; pwd';
  for (const path of ['/api/v1/commands', '/api/v1/durables/commands']) {
    const command = await run(script, { env, cwd, args }, 'EXECUTED', path);
    const shown = command.output.split('|');
    t.match(shown[0], new RegExp(`/${command.command_uuid}\\.sh$`), '$0 is its file');
    t.same(shown.slice(1), ['5', ...args, env.GREETING, '', env.PATH, cwd, `${cwd}\n`]);
    t.same(command.inputs, { env, cwd, args });
  }
  t.same((await run('echo $#', {})).inputs, {});
  const { body: list } = await request('GET', '/api/v1/commands');
  t.same(
    list.map(({ inputs }: { inputs: unknown }) => inputs),
    [null, null, null],
    'a list does not carry them',
  );
});

t.test('a script reads its stdin as it was sent, text or any bytes', async (t) => {
  const { run } = await runnerOf(t);
  const text = 'größe\n\0 no line end';
  for (const path of ['/api/v1/commands', '/api/v1/durables/commands']) {
    const { output, inputs } = await run('cat', { stdin: text }, 'EXECUTED', path);
    t.equal(output, text);
    t.same(inputs, { stdin_bytes: Buffer.byteLength(text) });
  }
  const bytes = randomBytes(8_000_000);
  const { output, inputs } = await run('sha256sum; cat; wc -c < /dev/stdin', {
    stdin: { base64: bytes.toString('base64') },
  });
  t.equal(output, `${createHash('sha256').update(bytes).digest('hex')}  -\n8000000\n`);
  t.same(inputs, { stdin_bytes: 8_000_000 });
  t.match(await run('read -r a; echo "$a"; bash -c "read -r b; echo \\$b"; cat', { stdin: '1\n2\n3\n' }), {
    output: '1\n2\n3\n',
  });
  t.match(await run('cat', { stdin: '' }), { output: '', inputs: { stdin_bytes: 0 } });
});

t.test('as many and as large inputs as are taken reach the script', async (t) => {
  const { run, request, database } = await runnerOf(t);
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`V${i}`, `${i}`]));
  const words = Array.from({ length: 1000 }, (_, i) => `word ${i}`);
  t.equal((await run('env | grep -c "^V[0-9]*="; echo $#', { env: many, args: words })).output, '1000\n1000\n');
  const long = 'x'.repeat(131_071);
  const inputs = { env: { A: long.slice(2), B: long.slice(2) }, args: [long, long, long, long, long] };
  t.equal(
    (await run('echo ${#A} ${#B} $# ${#5}; env | wc -c >/dev/null && echo children start', inputs)).output,
    '131069 131069 5 131071\nchildren start\n',
  );
  const { status, body } = await request('POST', '/api/v1/commands', {
    script: 'true',
    ...inputs,
    args: [...inputs.args, long],
  });
  t.same(
    { status, error: body.error },
    {
      status: 400,
      error: 'env, secret_env and args together must be at most 1048576 bytes long, 8 more counted for each text',
    },
  );
  t.equal((await database.rows('SELECT * FROM commands')).length, 2);
});

t.test('each bad input is refused with what is wrong about it, and nothing is stored', async (t) => {
  const { request, database } = await startApp(t);
  const ofMany = (count: number, name: (i: number) => string) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [name(i), 'x']));
  const names = 'must have names of letters, digits and _ that begin with no digit, not';
  const before = 'is not possible: bash must start without it; set it in the script';
  const labels =
    'labels must have names of letters, digits and . _ - /, at most 63, beginning with a letter or digit, not';
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'file'), '');
  const cases: [body: object, path: string, error: string][] = [
    [{ env: 'A=1' }, 'env', 'env must be an object of strings'],
    [{ env: ['A=1'] }, 'env', 'env must be an object of strings'],
    [{ env: null }, 'env', 'env must be an object of strings'],
    [{ env: { A: 1 } }, 'env.A', 'env.A must be a string'],
    [{ env: { A: null, B: null } }, 'env.A', 'env.A must be a string'],
    [{ env: { A: 'a\0b' } }, 'env.A', 'env.A must not contain NUL characters'],
    [{ env: { A: '\ud800' } }, 'env.A', 'env.A must be valid Unicode'],
    [{ env: { '': 'x' } }, 'env', `env ${names} ""`],
    [{ env: { '1A': 'x' } }, 'env', `env ${names} "1A"`],
    [{ env: { 'A=B': 'x' } }, 'env', `env ${names} "A=B"`],
    [{ env: { 'BASH_FUNC_ulimit%%': '() { :; }' } }, 'env', `env ${names} "BASH_FUNC_ulimit%%"`],
    [{ env: { ['ü'.repeat(200)]: 'x' } }, 'env', `env ${names} "${'ü'.repeat(100)}"`],
    [{ env: { BASH_ENV: '/x' } }, 'env.BASH_ENV', `env.BASH_ENV ${before}`],
    [{ env: { SHELLOPTS: 'privileged' } }, 'env.SHELLOPTS', `env.SHELLOPTS ${before}`],
    [{ env: { POSIXLY_CORRECT: '1' } }, 'env.POSIXLY_CORRECT', `env.POSIXLY_CORRECT ${before}`],
    [{ env: { POSIX_PEDANTIC: '1' } }, 'env.POSIX_PEDANTIC', `env.POSIX_PEDANTIC ${before}`],
    [{ env: { LD_PRELOAD: '/x' } }, 'env.LD_PRELOAD', `env.LD_PRELOAD ${before}`],
    [{ env: { GCONV_PATH: '/x' } }, 'env.GCONV_PATH', `env.GCONV_PATH ${before}`],
    [{ env: { LOCPATH: '/x' } }, 'env.LOCPATH', `env.LOCPATH ${before}`],
    [{ env: { LOCALE_ARCHIVE: '/x' } }, 'env.LOCALE_ARCHIVE', `env.LOCALE_ARCHIVE ${before}`],
    [{ env: { NLSPATH: '/x' } }, 'env.NLSPATH', `env.NLSPATH ${before}`],
    [{ env: { GLIBC_TUNABLES: 'x' } }, 'env.GLIBC_TUNABLES', `env.GLIBC_TUNABLES ${before}`],
    [
      { env: { SHELLVISOR_MARK: '1' } },
      'env.SHELLVISOR_MARK',
      'env.SHELLVISOR_MARK is not possible: the server sets these names itself',
    ],
    [{ env: { A: 'ü'.repeat(65_535) } }, 'env.A', 'env.A must be at most 131069 bytes long'],
    [{ env: ofMany(10_000, (i) => `V${i}`) }, 'env', 'env must have at most 1000 variables'],
    [{ secret_env: 'A=1' }, 'secret_env', 'secret_env must be an object of strings'],
    [{ secret_env: { A: 1234567 } }, 'secret_env.A', 'secret_env.A must be a string'],
    [{ secret_env: { 'A B': 'secret' } }, 'secret_env', `secret_env ${names} "A B"`],
    [{ secret_env: { LD_PRELOAD: 'secret' } }, 'secret_env.LD_PRELOAD', `secret_env.LD_PRELOAD ${before}`],
    [
      { secret_env: { A: 'secret', B: 'short' } },
      'secret_env.B',
      'secret_env.B must be at least 6 bytes long: a shorter one can not be masked',
    ],
    [{ secret_env: { A: 'secret' }, env: { A: 'x' } }, 'secret_env.A', 'secret_env.A must not be in env as well'],
    [{ secret_env: ofMany(101, (i) => `V${i}`) }, 'secret_env', 'secret_env must have at most 100 variables'],
    [{ cwd: 7 }, 'cwd', 'cwd must be a string'],
    [{ cwd: null }, 'cwd', 'cwd must be a string'],
    [{ cwd: '' }, 'cwd', 'cwd must be an absolute path of at most 4095 bytes'],
    [{ cwd: 'relative' }, 'cwd', 'cwd must be an absolute path of at most 4095 bytes'],
    [{ cwd: `/${'x'.repeat(4095)}` }, 'cwd', 'cwd must be an absolute path of at most 4095 bytes'],
    [{ cwd: '/a\0b' }, 'cwd', 'cwd must not contain NUL characters'],
    [{ args: 'a' }, 'args', 'args must be an array of strings'],
    [{ args: { 0: 'a' } }, 'args', 'args must be an array of strings'],
    [{ args: ['a', 1] }, 'args.1', 'args[1] must be a string'],
    [{ args: ['a\0'] }, 'args.0', 'args[0] must not contain NUL characters'],
    [{ args: ['x'.repeat(131_072)] }, 'args.0', 'args[0] must be at most 131071 bytes long'],
    [{ args: Array(1001).fill('x') }, 'args', 'args must have at most 1000 entries'],
    [{ stdin: 7 }, 'stdin', 'stdin must be a string or {"base64": "…"}'],
    [{ stdin: null }, 'stdin', 'stdin must be a string or {"base64": "…"}'],
    [{ stdin: {} }, 'stdin', 'stdin must be a string or {"base64": "…"}'],
    [{ stdin: { base64: 'YQ==', more: 1 } }, 'stdin', 'stdin must be a string or {"base64": "…"}'],
    [{ stdin: { base64: 'YQ' } }, 'stdin.base64', 'stdin.base64 must be base64, with its padding'],
    [{ stdin: { base64: 'Y-==' } }, 'stdin.base64', 'stdin.base64 must be base64, with its padding'],
    [{ stdin: '\ud800' }, 'stdin', 'stdin must be valid Unicode'],
    [{ labels: ['a'] }, 'labels', 'labels must be an object of strings'],
    [{ labels: { a: 1 } }, 'labels.a', 'labels.a must be a string'],
    [{ labels: { a: 'x'.repeat(256) } }, 'labels.a', 'labels.a must be at most 255 characters long'],
    [{ labels: { a: '\0' } }, 'labels.a', 'labels.a must not contain NUL characters'],
    [{ labels: { '': 'x' } }, 'labels', `${labels} ""`],
    [{ labels: { '.a': 'x' } }, 'labels', `${labels} ".a"`],
    [{ labels: { 'a=b': 'x' } }, 'labels', `${labels} "a=b"`],
    [{ labels: { ['a'.repeat(64)]: 'x' } }, 'labels', `${labels} "${'a'.repeat(64)}"`],
    [{ labels: ofMany(65, (i) => `l${i}`) }, 'labels', 'labels must have at most 64 entries'],
  ];
  for (const [inputs, path, error] of cases) {
    const { status, body } = await request('POST', '/api/v1/commands', { script: 'true', ...inputs });
    const name = JSON.stringify(inputs).slice(0, 100);
    t.same(
      { status, body },
      { status: 400, body: { error, code: 'INVALID_REQUEST', details: [{ path, message: error }] } },
      name,
    );
  }
  for (const [cwd, error] of [
    [join(folder, 'gone'), 'cwd does not exist'],
    [join(folder, 'file'), 'cwd is no folder'],
    [join(folder, 'file', 'below'), 'cwd is no folder'],
  ] as const) {
    const { status, body } = await request('POST', '/api/v1/durables/commands', { script: 'true', cwd });
    t.same({ status, body }, { status: 400, body: { error: `${error}: ${cwd}`, code: 'CWD_REFUSED' } });
  }
  t.same(await database.rows('SELECT * FROM commands'), []);
});

t.test('a folder that is gone when the turn of the script comes is told as why it could not start', async (t) => {
  const { request, submit, reaches } = await startApp(t, { maxParallel: 1 });
  const cwd = join(temporaryFolder(t), 'gone');
  mkdirSync(cwd);
  const first = await submit('sleep 1000');
  const { body } = await request('POST', '/api/v1/commands', { script: 'echo never', cwd });
  rmdirSync(cwd);
  await request('PATCH', `/api/v1/commands/${first}`);
  t.match(await reaches(body.uuid, 'FAILED'), {
    reason: 'spawn_error',
    error: `starting bash: cwd does not exist: ${cwd}`,
    output: '',
    exit_code: null,
  });
});

t.test('labels are kept beside a command, and are found by their index', async (t) => {
  const { run, request, database } = await runnerOf(t);
  const labels = { team: 'web', 'app.example/tier': 'größe 🐚', constructor: 'x' };
  const { command_uuid, labels: shown } = await run('env | grep -c web', { labels }, 'FAILED');
  t.same(shown, labels);
  t.same((await run('true', {})).labels, {});
  t.same(
    (await request('GET', '/api/v1/commands')).body.map((command: { labels: object }) => command.labels),
    [{}, labels],
  );
  t.same(await database.rows(`SELECT command_uuid FROM commands WHERE labels @> '{"team": "web"}'`), [
    { command_uuid },
  ]);
  await database.rows('SET enable_seqscan = off');
  const plan = await database.rows(`EXPLAIN SELECT * FROM commands WHERE labels @> '{"team": "web"}'`);
  t.match(JSON.stringify(plan), /commands_labels/);
});
