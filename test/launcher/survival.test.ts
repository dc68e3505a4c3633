import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ended, get, setup } from '../helpers/launcher.ts';
import { isAlive, processesWith, uniqueSeconds } from '../helpers/processes.ts';
import { serverPid, startServer } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

t.test('a command that is followed again after a crash can be stopped, and a stop goes on over a crash', async (t) => {
  const { server, submit } = await setup(t, { SHELLVISOR_STOP_GRACE_MS: '1500' });
  const seconds = uniqueSeconds();
  const first = await submit('/api/v1/commands', `echo hi; (setsid sleep ${seconds} &); sleep ${seconds}`);
  const second = await submit('/api/v1/commands', `trap '' TERM; sleep ${seconds}; sleep ${seconds}`);
  await until('all sleep', () => processesWith(`sleep\0${seconds}`).length >= 3);
  // Not answered: the server is killed meanwhile.
  const cutOff = server.request('PATCH', `/api/v1/commands/${second}`).catch(() => null);
  await until('the stop is under way', async () => {
    const { body } = await server.request('GET', `/api/v1/commands/${second}`);
    return body.status === 'EXECUTING';
  });
  process.kill(await serverPid(server), 'SIGKILL');
  await cutOff;
  await get(server, first);
  t.equal((await server.request('PATCH', `/api/v1/commands/${first}`)).status, 200);
  t.match(await get(server, first), { status: 'STOPPED', reason: 'stop', output: 'hi\n' });
  t.equal((await server.request('PATCH', `/api/v1/commands/${second}`)).status, 200);
  t.match(await get(server, second), { status: 'STOPPED', reason: 'stop', signal: 'SIGKILL' });
  t.same(processesWith(seconds), []);
});

t.test(
  'after a kill of the launcher its scripts are dead, and their commands lost with all that was stored',
  async (t) => {
    const { server, submit, folder, env } = await setup(t);
    const seconds = uniqueSeconds();
    const uuid = await submit(
      '/api/v1/durables/commands',
      `echo stored; (setsid sleep ${seconds} &); sleep ${seconds}`,
    );
    await until(
      'it is stored',
      async () => (await get(server, uuid)).output === 'stored\n' && processesWith(seconds).length >= 2,
    );
    const pid = await serverPid(server);
    server.child.kill('SIGKILL');
    await until('the server has ended as well', () => !isAlive(pid));
    t.same(processesWith(seconds), []);
    t.same(readdirSync(join(folder, 'data', 'scripts')), [], 'no script file is left');
    const next = await startServer(t, env);
    t.match(await get(next, uuid), { status: 'FAILED', reason: 'lost', exit_code: null, output: 'stored\n' });
  },
);

t.test('a script that waits for an acknowledgement goes on when the server dies just before it', async (t) => {
  // Killed when the first MiB of a regular command is committed, and the launcher does not know it yet.
  const { server, submit } = await setup(t, { SHELLVISOR_FAILPOINT: 'before-ack' });
  const uuid = await submit('/api/v1/commands', 'head -c 3000000 /dev/zero');
  const { status, output_bytes } = await ended(server, uuid);
  t.same({ status, output_bytes }, { status: 'EXECUTED', output_bytes: 3_000_000 });
  t.match(server.stderr(), /the server ended with SIGKILL/);
});

t.test('a shutdown that comes while the server is away stores what runs, and how it was stopped', async (t) => {
  const { server, submit, env } = await setup(t);
  const uuid = await submit('/api/v1/commands', 'echo hello; sleep 1000');
  await until('it runs', async () => (await get(server, uuid)).status === 'EXECUTING');
  const pid = await serverPid(server);
  process.kill(pid, 'SIGKILL');
  await until('it is gone', () => !isAlive(pid));
  t.same(await server.end(), { code: 0, signal: null });
  const next = await startServer(t, env);
  t.match(await get(next, uuid), { status: 'STOPPED', reason: 'shutdown', output: 'hello\n' });
});

t.test('the grace of a stop runs on over a crash of the server, and a kill in it is done whoever dies', async (t) => {
  const { server, submit } = await setup(t, { SHELLVISOR_STOP_GRACE_MS: '60000' });
  const seconds = uniqueSeconds();
  const stubborn = `trap 'echo heard' TERM; echo up; while :; do sleep ${seconds}; done`;
  const first = await submit('/api/v1/durables/commands', stubborn);
  const second = await submit('/api/v1/durables/commands', stubborn);
  const both = [first, second];
  const says = (uuid: string, text: string) =>
    until(`it says ${text}`, async () => (await get(server, uuid)).output.includes(text));
  const stepsOf = async (uuid: string) => (await server.request('GET', `/api/v1/commands/${uuid}/transitions`)).body;
  const terminating = (uuid: string, count: number) =>
    until('it is being stopped', async () => {
      const steps: { to: string; at: string; until: string }[] = await stepsOf(uuid);
      const found = steps.filter(({ to }) => to === 'executing.terminating');
      return found.length === count ? found.map(({ at, until }) => [Date.parse(at), Date.parse(until)]) : null;
    });
  await Promise.all(both.map((uuid) => says(uuid, 'up')));
  const ask = (uuid: string, query = '') =>
    server.request('PATCH', `/api/v1/commands/${uuid}${query}`).catch(() => null);
  const stops = both.map((uuid) => ask(uuid));
  await Promise.all(both.map((uuid) => terminating(uuid, 1)));

  // The next server learns of the first from the launcher, whose grace has gone on.
  process.kill(await serverPid(server), 'SIGKILL');
  await Promise.all(stops);
  await get(server, first);
  const [[at1 = 0, until1 = 0] = [], [at2 = 0, until2 = 0] = []] = await terminating(first, 2);
  t.equal(until1 - at1, 60_000);
  t.ok(Math.abs(until2 - until1) < (at2 - at1) / 2, `${until2 - until1} ms apart, after ${at2 - at1} ms`);
  t.match(await ask(first, '?kill=true'), { status: 200 });
  t.match(await get(server, first), { status: 'STOPPED', reason: 'stop', signal: 'SIGKILL' });

  const kill = ask(second, '?kill=true');
  await until('SIGKILL has come', () => processesWith(seconds).length === 0);
  process.kill(await serverPid(server), 'SIGKILL');
  await kill;
  t.match(await ended(server, second), { status: 'STOPPED', reason: 'stop', signal: 'SIGKILL' });
});
