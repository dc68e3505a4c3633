import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import t, { type Test } from 'tap';
import { outputLimitOf } from '../../src/command.ts';
import { createDatabase } from '../helpers/cluster.ts';
import { checkKept, storedRows } from '../helpers/output.ts';
import { isAlive, processesWith, uniqueSeconds } from '../helpers/processes.ts';
import { freePort, startServer, type TestServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

/** Prints numbered lines, the same into a side file, and a marker for each time that it was run. */
const script = (side: string, lines: number) => `
  echo ran >> ${side}.runs
  for ((i = 1; i <= ${lines}; i++)); do
    echo "line $i of ${side}"; echo "line $i of ${side}" >> ${side}
    if ((i % 10 == 0)); then sleep 0.01; fi
  done
  exit 7`;

async function setup(t: Test, env: Record<string, string> = {}) {
  const folder = temporaryFolder(t);
  // One that stays the same over restarts.
  const PORT = `${await freePort()}`;
  const all = {
    PORT,
    DATABASE_URL: await createDatabase(t),
    DATA_DIR: join(folder, 'data'),
    ...env,
  };
  const server = await startServer(t, all);
  const submit = async (path: string, text: string, options: object = {}): Promise<string> => {
    const { status, body } = await server.request('POST', path, { script: text, ...options });
    if (status !== 201) throw new Error(`${status} ${JSON.stringify(body)}`);
    return body.uuid;
  };
  return { folder, server, submit, env: all };
}

/** The process id of the server below the launcher. */
async function serverPid(server: TestServer): Promise<number> {
  const isServer = (pid: number) =>
    readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ')[1] === `${server.child.pid}`;
  return until('there is a server', () =>
    processesWith('src/server.ts').find((pid) => {
      try {
        return isServer(pid);
      } catch {
        return false;
      }
    }),
  );
}

/** Asks until there is an answer: between two servers nobody listens. */
const get = (server: TestServer, uuid: string) =>
  until('the server answers', () =>
    server.request('GET', `/api/v1/commands/${uuid}`).then(
      ({ body }) => body,
      () => null,
    ),
  );

const ended = (server: TestServer, uuid: string) =>
  until(`${uuid} ended`, async () => {
    const command = await get(server, uuid);
    return command.ended_at === null ? null : command;
  });

const sha = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');

/** The oracle: what is stored is what the side file has, it ran once, and its exit code is right. */
async function check(t: Test, server: TestServer, uuid: string, side: string) {
  const { status, exit_code, reason, output } = await ended(server, uuid);
  t.same({ status, exit_code, reason }, { status: 'FAILED', exit_code: 7, reason: 'exit' }, side);
  t.equal(sha(output), sha(readFileSync(side)), `${side}: no byte lost or doubled`);
  t.equal(readFileSync(`${side}.runs`, 'utf8'), 'ran\n', `${side}: run once`);
}

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
      uuids.push(await submit(i % 2 === 0 ? '/api/v1/commands' : '/api/v1/durables/commands', script(side, 2000)));
    }
    for (let round = 0; round < 3; round++) {
      const before = await serverPid(server);
      await interrupt(server);
      await until('it is gone', () => !isAlive(before));
      await get(server, uuids[0] as string);
    }
    for (const [i, side] of sides.entries()) await check(t, server, uuids[i] as string, side);
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

t.test('of an output that is too long head and tail are kept to the byte, over kills of the server', async (t) => {
  const { server, submit, folder, env } = await setup(t, { SHELLVISOR_OUTPUT_LIMIT_BYTES: '400000' });
  const database = new Client(env.DATABASE_URL);
  await database.connect();
  t.teardown(() => database.end());
  const stop = join(folder, 'stop');
  const commands: { uuid: string; side: string }[] = [];
  for (const path of ['/api/v1/commands', '/api/v1/durables/commands']) {
    const side = join(folder, `side${commands.length}`);
    const text = `while [ ! -e ${stop} ]; do head -c 200000 /dev/urandom | tee -a ${side}; sleep 0.05; done; exit 7`;
    commands.push({ uuid: await submit(path, text), side });
  }
  for (let round = 0; round < 3; round++) {
    const sizes = commands.map(({ side }) => statSync(side, { throwIfNoEntry: false })?.size ?? 0);
    await until('all print on', () =>
      commands.every(({ side }, i) => {
        const size = statSync(side, { throwIfNoEntry: false })?.size ?? 0;
        return size > (sizes[i] as number) + 1e6;
      }),
    );
    const before = await serverPid(server);
    process.kill(before, 'SIGKILL');
    await until('it is gone', () => !isAlive(before));
    await get(server, commands[0]?.uuid as string);
  }
  writeFileSync(stop, '');
  for (const { uuid, side } of commands) {
    const command = await ended(server, uuid);
    const printed = readFileSync(side);
    t.match(command, { exit_code: 7, output_truncated: true, output_bytes: printed.length });
    const stored = await storedRows(async (sql, values) => (await database.query(sql, values)).rows, uuid);
    checkKept(t, stored, { stdout: printed }, outputLimitOf(400_000));
  }
});

t.test('how long a command may run holds over a crash, whether it ran by then or waited', async (t) => {
  const { server, submit } = await setup(t, { SHELLVISOR_MAX_PARALLEL: '1' });
  const seconds = uniqueSeconds();
  const running = await submit('/api/v1/commands', `sleep ${seconds}`, { timeout_ms: 3000 });
  const waiting = await submit('/api/v1/commands', `sleep ${seconds}`, { timeout_ms: 100 });
  await until('the first one sleeps', () => processesWith(`sleep\0${seconds}`).length > 0);
  process.kill(await serverPid(server), 'SIGKILL');
  for (const uuid of [running, waiting]) {
    t.match(await ended(server, uuid), { status: 'FAILED', reason: 'timeout', signal: 'SIGTERM' });
  }
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
