import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ended, get, setup } from '../helpers/launcher.ts';
import { isAlive } from '../helpers/processes.ts';
import { serverPid } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

t.test('progress outlives a kill of the server, and so does what was told while there was none', async (t) => {
  const { server, submit, folder } = await setup(t);
  const untilOpen = (gate: string) => `until [ -e '${join(folder, gate)}' ]; do sleep 0.01; done`;
  const script = (last: string) =>
    `echo "10 first" >&$SHELLVISOR_PROGRESS_FD; ${untilOpen('gate')}; echo "${last}" >&$SHELLVISOR_PROGRESS_FD; `;
  const uuids = await Promise.all([
    submit('/api/v1/commands', `${script('42 nobody heard')} sleep 1000`),
    submit('/api/v1/durables/commands', `${script('100 done')} exit 3`),
    submit('/api/v1/commands', 'sleep 1000'),
  ]);
  const [running, finished, silent] = uuids as [string, string, string];
  for (const uuid of [running, finished]) {
    await until('it is stored', async () => (await get(server, uuid)).progress?.percent === 10);
  }
  const pid = await serverPid(server);
  process.kill(pid, 'SIGKILL');
  await until('the server is gone', () => !isAlive(pid));
  writeFileSync(join(folder, 'gate'), '');
  t.match(await ended(server, finished), { status: 'FAILED', progress: { percent: 100, text: 'done' } });
  await until('the next server knows', async () => (await get(server, running)).progress?.percent === 42);
  t.match(await get(server, running), { status: 'EXECUTING', progress: { percent: 42, text: 'nobody heard' } });
  t.equal((await get(server, silent)).progress, null);
  t.equal((await server.request('PATCH', `/api/v1/commands/${running}`)).status, 200);
  t.match(await get(server, running), { status: 'STOPPED', progress: { percent: 42, text: 'nobody heard' } });
});
