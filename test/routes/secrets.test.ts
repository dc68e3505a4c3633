import t, { type Test } from 'tap';
import { createReader } from '../../src/persistence/reader.ts';
import { startApp, type TestAppOptions } from '../helpers/app.ts';
import { until } from '../helpers/until.ts';

const SECRET = 'swordfish-größe';
const PEM = '-----BEGIN KEY-----\nMIIEvQ\n-----END KEY-----\n';

async function appWithSecrets(t: Test, options: TestAppOptions = {}) {
  const app = await startApp(t, options);
  const submit = async (script: string, body: object, path = '/api/v1/commands'): Promise<string> => {
    const answer = await app.request('POST', path, { script, ...body });
    t.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body.uuid;
  };
  /** Whether a text stands anywhere in the database. */
  const isStored = async (text: string) => {
    const { rows } = app.database;
    const commands = await rows('SELECT commands::text AS row, stdin FROM commands ORDER BY id');
    const output = await rows(
      'SELECT string_agg(data, NULL ORDER BY command_id, stream, byte_offset) AS data FROM command_output',
    );
    return [...commands.flatMap(({ row, stdin }) => [row, `${stdin}`]), `${output[0].data}`].some((all) =>
      all.includes(text),
    );
  };
  return { ...app, submit, isStored };
}

t.test('a script knows its secrets, and nobody else: not the database, not the answers', async (t) => {
  const { submit, reaches, request, isStored, database, changes } = await appWithSecrets(t);
  const secret_env = { TOKEN: SECRET, PEM, LONGER: `${SECRET}-longer` };
  const script = `
    printf %s "$TOKEN" | base64; echo "a $TOKEN b $LONGER"; echo "$TOKEN" >&2
    printf swordfish-; sleep 0.2; printf "größe|swordfish-"; sleep 0.2; printf "gr\\303"; sleep 0.2; printf "\\266\\303\\237e."
    printf "%s" "$PEM" >&2; tr '\\0' '\\n' </proc/$$/cmdline | grep -c swordfish; printf "the end: swordf"`;
  for (const path of ['/api/v1/commands', '/api/v1/durables/commands']) {
    const uuid = await submit(script, { secret_env, env: { PUBLIC: 'public' } }, path);
    const { output, inputs, output_bytes } = await reaches(uuid, 'EXECUTED');
    const of = async (stream: string) =>
      (await request('GET', `/api/v1/commands/${uuid}/output?stream=${stream}`)).body;
    const stdout = `${Buffer.from(SECRET).toString('base64')}\na *** b ***\n***|***.0\nthe end: swordf`;
    t.same([await of('stdout'), await of('stderr')], [stdout, '***\n***']);
    t.equal(output_bytes, stdout.length + 7);
    t.equal(output.length, output_bytes);
    t.same(inputs, { env: { PUBLIC: 'public' }, secret_env: ['TOKEN', 'PEM', 'LONGER'] });
  }
  t.notOk(await isStored(SECRET));
  t.notOk(await isStored('MIIEvQ'));
  t.ok(await isStored('the end'), 'this is where it would be');
  const [{ command_uuid }] = await database.rows('SELECT command_uuid FROM commands LIMIT 1');
  t.match(await createReader(database.pool, changes).requestOf(command_uuid), {
    script,
    inputs: { env: { PUBLIC: 'public' } },
    secretNames: ['TOKEN', 'PEM', 'LONGER'],
  });
});

t.test('an output over its limit is masked as well', async (t) => {
  const { submit, reaches, isStored } = await appWithSecrets(t, { outputLimitBytes: 4096 });
  const script =
    'for i in {1..3000}; do printf "%s$TOKEN" "$i "; done; printf "$TOKEN"; head -c 100000 /dev/zero | tr "\\0" s';
  const uuid = await submit(script, { secret_env: { TOKEN: SECRET } });
  const { output_bytes, output_truncated } = await reaches(uuid, 'EXECUTED');
  const printed = Array.from({ length: 3000 }, (_, i) => `${i + 1} ***`).join('').length + 3 + 100_000;
  t.same({ output_bytes, output_truncated }, { output_bytes: printed, output_truncated: true });
  t.notOk(await isStored(SECRET));
});

t.test('what a durable command prints shows at once, but for what may be the beginning of a secret', async (t) => {
  const { submit, reaches, request } = await appWithSecrets(t);
  const body = { secret_env: { TOKEN: SECRET } };
  const uuid = await submit('echo "sword"; printf "swordfi"; sleep 1000', body, '/api/v1/durables/commands');
  const shown = await until(
    'it shows',
    async () => (await request('GET', `/api/v1/commands/${uuid}`)).body.output || null,
  );
  t.equal(shown, 'sword\n');
  await request('PATCH', `/api/v1/commands/${uuid}`);
  t.match(await reaches(uuid, 'STOPPED'), { output: 'sword\nswordfi' });
});

t.test('a body that is no JSON is refused without a word of what is in it', async (t) => {
  const { app } = await startApp(t);
  for (const payload of [`{"secret_env":{"A":"${SECRET}"x}}`, `{"secret_env":{"A":${SECRET}}}`, `"${SECRET}" "`]) {
    const headers = { 'content-type': 'application/json' };
    const { statusCode, body } = await app.inject({ method: 'POST', url: '/api/v1/commands', payload, headers });
    t.equal(statusCode, 400);
    t.match(body, /INVALID_JSON/);
    t.notMatch(body, /ordfish/);
  }
});
