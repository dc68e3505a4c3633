/** SIGTERM while thousands wait: the queue runs after the next start, each command once. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../test/helpers/until.ts';
import type { Fault, Round } from '../fault.ts';
import { inTurn } from '../in-turn.ts';
import { World } from '../world.ts';

/** How long a graceful shutdown may take, in ms: the default of SHELLVISOR_SHUTDOWN_MS. */
const SHUTDOWN_MS = 10_000;
const PARALLEL = 8;

export const shutdownQueue: Fault = {
  name: 'shutdown-queue',
  summary: 'SIGTERM with 5,000 queued, and once more in the middle of the queue',
  roundsOf200: 1,
  async round(round) {
    const count = round.quick ? 150 : 5000;
    const world = await World.start(round, { env: { SHELLVISOR_MAX_PARALLEL: `${PARALLEL}` } });
    const marks = join(world.folder, 'marks');
    mkdirSync(marks);
    // These hold the slots until the shutdown stops them.
    for (let i = 0; i < PARALLEL; i++) await world.insist('POST', '/api/v1/commands', { script: 'sleep 1000' });
    await inTurn(16, count, async (i) => {
      const script = `echo ran >> '${marks}/${i}'; echo done ${i}`;
      await world.insist('POST', '/api/v1/commands', { script, description: `${i}` });
    });
    await shutDown(round, world, `shutdown with ${count} queued`);
    for (let i = 0; i < count; i++) {
      if (existsSync(join(marks, `${i}`))) round.tally.find('wrong outcomes', 1, `${i}`, 'it waits', 'it ran already');
    }
    await world.startLauncher();
    await until('a part has run', () => existsSync(join(marks, `${Math.floor(count / 3)}`)), 60_000);
    await shutDown(round, world, 'shutdown in the middle of the queue');
    await world.startLauncher();
    await world.calm();
    await judge(round, world, marks, count);
  },
};

async function shutDown({ tally }: Round, world: World, name: string): Promise<void> {
  const server = await world.serverPid();
  const askedAt = performance.now();
  world.launcher.child.kill('SIGTERM');
  const exit = await world.launcherGone(server);
  tally.measure({ name, value: performance.now() - askedAt, unit: 'ms', goal: SHUTDOWN_MS });
  tally.find('server exits', exit.code === 0 ? 0 : 1, name, 'it ends with 0', `${exit.signal ?? exit.code}`);
}

async function judge({ tally }: Round, world: World, marks: string, count: number): Promise<void> {
  const { rows } = await world.query(
    `SELECT description, status, reason, convert_from(coalesce(string_agg(data, ''), ''), 'UTF8') AS output
     FROM commands c LEFT JOIN command_output o ON o.command_id = c.id WHERE description <> '' GROUP BY c.id`,
  );
  tally.find('wrong outcomes', count - rows.length, 'the queue', `${count} commands`, `${rows.length}`);
  for (const { description: i, status, reason, output } of rows) {
    const where = `command ${i}`;
    const mark = join(marks, i);
    const runs = existsSync(mark) ? readFileSync(mark, 'latin1').split('\n').length - 1 : 0;
    tally.find('double runs', Math.max(0, runs - 1), where, 'one run', `${runs}`);
    const ranToItsEnd = status === 'EXECUTED' && runs === 1;
    // The second shutdown meets some while they run.
    const wasStopped = status === 'STOPPED' && reason === 'shutdown';
    if (!ranToItsEnd && !wasStopped) {
      tally.find('wrong outcomes', 1, where, 'EXECUTED after one run', `${status}, ${reason}, ${runs} runs`);
    }
    const expected = `done ${i}\n`;
    if (ranToItsEnd && output.length < expected.length) {
      tally.find('bytes lost', expected.length - output.length, where, expected, output);
    } else if (ranToItsEnd && output !== expected) {
      tally.find('bytes doubled', output.length, where, expected, output);
    }
  }
}
