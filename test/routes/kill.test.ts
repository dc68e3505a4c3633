import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { startApp } from '../helpers/app.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

t.test('a kill needs no grace: at once, in the grace of a stop, and in that of a timeout', async (t) => {
  const { request, submit, reaches } = await startApp(t, { stopGraceMs: 60_000, maxParallel: 2 });
  const folder = temporaryFolder(t);
  const stubborn = `trap '' TERM; touch ${folder}/$SHELLVISOR_COMMAND_UUID; while :; do sleep 0.05; done`;
  const ignoresTerm = (uuid: string) => until('it ignores SIGTERM', () => existsSync(join(folder, uuid)));
  const kill = (uuid: string) => request('PATCH', `/api/v1/commands/${uuid}?kill=true`);
  const stepsOf = async (uuid: string): Promise<{ event: string; to: string; at: string; until?: string }[]> =>
    (await request('GET', `/api/v1/commands/${uuid}/transitions`)).body;
  const briefOf = async (uuid: string) => (await stepsOf(uuid)).slice(3).map(({ event, to }) => `${event} → ${to}`);
  const stepTo = (uuid: string, state: string) =>
    until(`it is ${state}`, async () => (await stepsOf(uuid)).find(({ to }) => to === `executing.${state}`));
  const lasts = ({ at, until = '' }: { at: string; until?: string }) => Date.parse(until) - Date.parse(at);
  const killed = { status: 'STOPPED', reason: 'stop', exit_code: null, signal: 'SIGKILL' };
  const end = ['process.ended → storing', 'store is done → stopped'];

  const atOnce = await submit(stubborn);
  t.notOk((await stepTo(atOnce, 'running')).until, 'it has no timeout');
  t.match(await kill(atOnce), { status: 200, body: { message: 'command stopped successfully' } });
  t.match(await reaches(atOnce, 'STOPPED'), killed);
  t.same(await briefOf(atOnce), ['kill → executing.killing', ...end]);
  t.equal((await kill(atOnce)).status, 200, 'again');

  const stopped = await submit(stubborn);
  await stepTo(stopped, 'running');
  await ignoresTerm(stopped);
  const stop = request('PATCH', `/api/v1/commands/${stopped}?kill=false`);
  t.equal(lasts(await stepTo(stopped, 'terminating')), 60_000);
  t.same(
    (await Promise.all([stop, kill(stopped), kill(stopped)])).map(({ status }) => status),
    [200, 200, 200],
  );
  t.match(await reaches(stopped, 'STOPPED'), killed);
  t.same(await briefOf(stopped), ['stop → executing.terminating', 'kill → executing.killing', ...end]);

  const { body } = await request('POST', '/api/v1/commands', { script: stubborn, timeout_ms: 1000 });
  const late: string = body.uuid;
  await stepTo(late, 'terminating');
  t.equal(lasts(await stepTo(late, 'running')), 1000);
  t.match(await kill(late), { status: 409, body: { code: 'COMMAND_ENDED' } });
  t.match(await reaches(late, 'FAILED'), { reason: 'timeout', signal: 'SIGKILL', stopped_by: null });

  const running = await Promise.all([submit(stubborn), submit(stubborn)]);
  const waiting = await submit('echo never');
  t.equal((await kill(waiting)).status, 200);
  t.match(await reaches(waiting, 'STOPPED'), { started_at: null, output: '' });
  for (const query of ['kill=yes', 'kill', 'kil=true']) {
    t.match(await request('PATCH', `/api/v1/commands/${waiting}?${query}`), {
      status: 400,
      body: { code: 'INVALID_REQUEST' },
    });
  }
  await Promise.all(running.map(kill));
});
