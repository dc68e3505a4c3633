import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { tokenFile, tokenOf } from '../helpers/access.ts';
import { setup } from '../helpers/launcher.ts';
import { serverPid } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const COMMANDS = '/api/v1/commands';

t.test('who stopped a command is known after a crash of the server between the stop and the outcome', async (t) => {
  const { server, folder } = await setup(t, {
    SHELLVISOR_STOP_GRACE_MS: '60000',
    SHELLVISOR_TOKEN_FILE: tokenFile(t, ['ann', 'bob', 'carl']),
  });
  const ask = (name: string, method: string, path: string, body?: object) =>
    server.request(method, path, body, tokenOf(name)).catch(() => null);
  const gate = join(folder, 'gate');
  const script = `trap 'echo stopped' TERM; echo up; until [ -e '${gate}' ]; do sleep 0.05; done`;
  const created = await ask('ann', 'POST', '/api/v1/durables/commands', { script });
  const path = `${COMMANDS}/${created?.body.uuid}`;
  const look = async () => (await ask('carl', 'GET', path))?.body;
  await until('it runs', async () => (await look())?.output === 'up\n');
  const cutOff = ask('bob', 'PATCH', path);
  await until('it hears of the stop', async () => (await look())?.output.includes('stopped'));
  process.kill(await serverPid(server), 'SIGKILL');
  t.equal(await cutOff, null);
  await until('the next server answers', async () => (await look())?.status === 'EXECUTING');
  const second = ask('carl', 'PATCH', path);
  writeFileSync(gate, '');
  t.match(await second, { status: 200 });
  const ended = await look();
  t.match(ended, { status: 'STOPPED', reason: 'stop', exit_code: 0, created_by: 'ann', stopped_by: 'bob' });
});
