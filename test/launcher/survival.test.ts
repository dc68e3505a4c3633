import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ended, get, setup } from '../helpers/launcher.ts';
import { checkOracle, oracleScript } from '../helpers/oracle.ts';
import { isAlive, processesWith, uniqueSeconds } from '../helpers/processes.ts';
import { serverPid, startServer, type TestServer } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

for (const [how, interrupt] of Object.entries({
  'kills of the server': async (server: TestServer): Promise<unknown> =>
    process.kill(await serverPid(server), 'SIGKILL'),
  'upgrades by SIGHUP': async (server: TestServer) => server.child.kill('SIGHUP'),
})) {
  t.test(`under ${how} no byte is lost or doubled, no outcome is wrong, no script runs twice`, async (t) => {
    const { server, submit, folder } = await setup(t, { SHELLVISOR_MAX_PARALLEL: '6' });
    const sides = Array.from({ length: 10 }, (_, i) => join(folder, `side${i}`));
    const uuids: string[] = [];
    for (const [i, side] of sides.entries()) {
      uuids.push(
        await submit(i % 2 === 0 ? '/api/v1/commands' : '/api/v1/durables/commands', oracleScript(side, 2000)),
      );
    }
    for (let round = 0; round < 3; round++) {
      const before = await serverPid(server);
      await interrupt(server);
      await until('it is gone', () => !isAlive(before));
      await get(server, uuids[0] as string);
    }
    for (const [i, side] of sides.entries()) checkOracle(t, await ended(server, uuids[i] as string), side);
    t.same(await server.end(), { code: 0, signal: null });
  });
}

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
