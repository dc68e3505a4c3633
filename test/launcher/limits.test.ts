import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import t from 'tap';
import { outputLimitOf } from '../../src/command.ts';
import { ended, get, setup } from '../helpers/launcher.ts';
import { checkKept, storedRows } from '../helpers/output.ts';
import { isAlive, processesWith, uniqueSeconds } from '../helpers/processes.ts';
import { serverPid } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

t.test('of an output that is too long head and tail are kept to the byte, over a kill of the server', async (t) => {
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
  const sizeOf = (side: string) => statSync(side, { throwIfNoEntry: false })?.size ?? 0;
  const printOn = (bytes: number) => {
    const sizes = commands.map(({ side }) => sizeOf(side));
    return until('all print on', () => commands.every(({ side }, i) => sizeOf(side) > (sizes[i] as number) + bytes));
  };
  await printOn(2e6);
  const before = await serverPid(server);
  process.kill(before, 'SIGKILL');
  await until('it is gone', () => !isAlive(before));
  await get(server, commands[0]?.uuid as string);
  await printOn(1e6);
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
