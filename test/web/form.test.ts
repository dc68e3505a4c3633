import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';
import type { Command } from '../../src/client/index.ts';
import { curlOf, EMPTY_FORM, type Form, formOf, requestOf } from '../../web/src/run/form.ts';
import { sizeOf, spanOf, textOfSize } from '../../web/src/run/units.ts';
import { startApp } from '../helpers/app.ts';

const AWKWARD = {
  ...EMPTY_FORM,
  script: `echo "it's" '$HOME' \\\\ \`date\`\nprintf '%s\\n' "$@"`,
  description: `it's "quoted"`,
  env: 'NAME=a=b\nLINES="one\\ntwo"\nQUOTE="half',
  args: 'plain\n"with\\nbreak"\n" "',
  timeout: '1.5',
  stdin: 'in\n',
  labels: 'team=web',
  nice: '3',
  maxOpenFiles: '64',
  onOutputLimit: 'kill',
  onLost: 'rerun',
  keepsBackground: true,
  isPinned: true,
} satisfies Form;

const { app, request, reaches } = await startApp(t);
const origin = await app.listen({ port: 0 });

/** What a person gets who pastes a text into bash. */
async function pasted(text: string, variables: Record<string, string>) {
  const env = { PATH: process.env.PATH, ...variables };
  const { stdout } = await promisify(execFile)('bash', ['-c', text], { env });
  return JSON.parse(stdout);
}

t.test('what is filled in becomes a request, and what is not is left out', async (t) => {
  t.strictSame(requestOf({ ...EMPTY_FORM, script: 'true' }), { script: 'true' });
  t.strictSame(requestOf(AWKWARD), {
    script: AWKWARD.script,
    description: AWKWARD.description,
    env: { NAME: 'a=b', LINES: 'one\ntwo', QUOTE: '"half' },
    args: ['plain', 'with\nbreak', ' '],
    stdin: 'in\n',
    labels: { team: 'web' },
    timeout_ms: 1500,
    nice: 3,
    max_open_files: 64,
    on_output_limit: 'kill',
    on_lost: 'rerun',
    keep_background: true,
    pinned: true,
  });
  const secrets = [
    { name: 'A', value: ' 1 ' },
    { name: '', value: '' },
  ];
  t.strictSame(
    requestOf({
      ...EMPTY_FORM,
      secrets,
      sandbox: 'network',
      maxMemory: '1 GiB',
      stdin: 'AA\nAA',
      isBase64: true,
      nodeLabel: 'gpu',
    }),
    {
      script: '',
      secret_env: { A: ' 1 ' },
      stdin: { base64: 'AAAA' },
      node: { label: 'gpu' },
      sandbox: { network: true },
      max_memory_bytes: 2 ** 30,
    },
  );
  t.strictSame(requestOf({ ...EMPTY_FORM, nice: 'much', sandbox: 'on' }), { script: '', nice: 'much', sandbox: true });
  t.throws(() => requestOf({ ...EMPTY_FORM, env: 'A=1\nnonsense' }), {
    key: 'env',
    message: 'a line must be NAME=value: nonsense',
  });
  t.throws(() => requestOf({ ...EMPTY_FORM, labels: '=x' }), {
    key: 'labels',
    message: 'a line must be NAME=value: =x',
  });
});

t.test('sizes and spans are read as people write them, and written so that they are read again', async (t) => {
  const sizes = ['65536', '512 MiB', '512mb', '1,5G', '64к', '2 ГиБ', '1e3', 'MiB', '1 parsec', ''].map(sizeOf);
  const none = undefined;
  t.strictSame(sizes, [65536, 2 ** 29, 512e6, 1.5 * 2 ** 30, 65536, 2 ** 31, none, none, none, none]);
  t.strictSame(['90', '1.5 s', '500ms', '5 min', '2h', '1 д', '5 мин', '-1'].map(spanOf), [
    90_000,
    1500,
    500,
    300_000,
    7_200_000,
    86_400_000,
    300_000,
    none,
  ]);
  t.strictSame([0, 1000, 1536, 2 ** 29, 2 ** 30].map(textOfSize), ['0', '1000', '1536', '512 MiB', '1 GiB']);
});

t.test('the curl that is shown sends the same request, and what came of it fills the form again', async (t) => {
  const { uuid } = await pasted(curlOf(AWKWARD, origin, true), { SHELLVISOR_TOKEN: 'any' });
  const { body } = await request('GET', `/api/v1/commands/${uuid}`);
  t.same(formOf(body as Command), { ...AWKWARD, stdin: '' });
  t.notMatch(curlOf(AWKWARD, origin, false), /Authorization/);
  const options = { sandbox: { network: true }, max_memory_bytes: 2 ** 29, max_processes: 7 };
  t.match(formOf({ ...body, options } as Command), { sandbox: 'network', maxMemory: '512 MiB', maxProcesses: '7' });
  t.match(formOf({ ...body, options: { sandbox: true } } as Command), { sandbox: 'on', onOutputLimit: 'truncate' });
});

t.test('no secret is in the curl: it takes them from the shell, whatever is in them', async (t) => {
  const values = {
    KEY: '-----BEGIN "KEY"-----\n\tit\'s $HOME `date` \\n \\\\ "\r\nпривет %s &\n\n',
    PASSWORD: '\\"$(exit)\\',
  };
  const secrets = Object.keys(values).map((name) => ({ name, value: 'typed-in-the-page' }));
  const script = `printf '%s' "$KEY$PASSWORD" | sha256sum; echo "it's $PASSWORD"`;
  const curl = curlOf({ ...EMPTY_FORM, script, secrets }, origin, false);
  t.notMatch(curl, 'typed-in-the-page');
  const { uuid } = await pasted(curl, values);
  const expected = await promisify(execFile)('bash', ['-c', `printf '%s' "$KEY$PASSWORD" | sha256sum`], {
    env: { PATH: process.env.PATH, ...values },
  });
  const shown = await reaches(uuid, 'EXECUTED');
  t.equal(shown.output, `${expected.stdout}it's ***\n`);
  t.strictSame(formOf(shown).secrets, [
    { name: 'KEY', value: '' },
    { name: 'PASSWORD', value: '' },
  ]);
  t.match(await pasted(curl, { KEY: values.KEY }), { error: /^secret_env.PASSWORD must be at least 6 bytes long/ });
  // What is no name of a variable must not become a part of what the shell runs.
  t.throws(() => curlOf({ ...EMPTY_FORM, secrets: [{ name: 'A;date', value: 'x' }] }, origin, false), {
    key: 'secret_env',
    message: 'a line must be NAME=value: A;date',
  });
});
