import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';
import type { Command } from '../../src/client/index.ts';
import { curlOf, EMPTY_FORM, formOf, requestOf } from '../../web/src/run/form.ts';
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
};

t.test('what is filled in becomes a request, and what is not is left out', async (t) => {
  t.same(requestOf({ ...EMPTY_FORM, script: 'true' }), { script: 'true' });
  t.same(requestOf(AWKWARD), {
    script: AWKWARD.script,
    description: AWKWARD.description,
    env: { NAME: 'a=b', LINES: 'one\ntwo', QUOTE: '"half' },
    args: ['plain', 'with\nbreak', ' '],
    timeout_ms: 1500,
    stdin: 'in\n',
    labels: { team: 'web' },
  });
  t.throws(() => requestOf({ ...EMPTY_FORM, env: 'A=1\nnonsense' }), {
    message: 'a line must be NAME=value: nonsense',
  });
  t.throws(() => requestOf({ ...EMPTY_FORM, labels: '=x' }), { message: 'a line must be NAME=value: =x' });
});

t.test('the curl that is shown sends the same request, and what came of it fills the form again', async (t) => {
  const { app, request } = await startApp(t);
  const origin = await app.listen({ port: 0 });
  const { stdout } = await promisify(execFile)('bash', ['-c', curlOf(AWKWARD, origin, true)], {
    env: { PATH: process.env.PATH, SHELLVISOR_TOKEN: 'any' },
  }).catch((error) => error);
  const { uuid } = JSON.parse(stdout);
  const { body } = await request('GET', `/api/v1/commands/${uuid}`);
  t.same(formOf(body as Command), { ...AWKWARD, stdin: '' });
  t.notMatch(curlOf(AWKWARD, origin, false), /Authorization/);
});
