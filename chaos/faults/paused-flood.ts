/** Fifty times `yes` while PostgreSQL is paused: the scripts wait, and memory stays where it is. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { residentMiB } from '../../bench/process.ts';
import { until } from '../../test/helpers/until.ts';
import type { Fault, Round } from '../fault.ts';
import { inTurn } from '../in-turn.ts';
import { startPostgres } from '../postgres.ts';
import { OPEN_WAIT, wait } from '../waiting.ts';
import { World } from '../world.ts';

/** What launcher and server may grow by together, in MiB. */
const GROWTH_MIB = 150;

export const pausedFlood: Fault = {
  name: 'paused-flood',
  summary: '`yes` x 50 with PostgreSQL paused: memory of server and launcher together',
  roundsOf200: 1,
  async round(round) {
    const { tally, scope, quick } = round;
    const count = quick ? 10 : 50;
    const postgres = await startPostgres(round);
    const world = await World.start(round, { databaseUrl: postgres.url });
    const gate = join(world.folder, 'gate');
    const script = `${OPEN_WAIT}; until [ -e '${gate}' ]; do ${wait(50)}; done; exec yes`;
    const uuids: string[] = [];
    await inTurn(4, count, async (i) => {
      const path = i % 2 === 0 ? '/api/v1/commands' : '/api/v1/durables/commands';
      uuids.push((await world.insist('POST', path, { script })).body.uuid);
    });
    await until('all wait at the gate', async () => {
      const { rows } = await world.query(`SELECT count(*)::int FROM commands WHERE status = 'EXECUTING'`);
      return rows[0].count === count;
    });
    const pids = [world.launcher.child.pid as number, await world.serverPid()];
    const before = residentMiB(pids);
    const goOn = await postgres.processes.pause();
    scope.teardown(goOn);
    writeFileSync(gate, '');
    const end = performance.now() + (quick ? 2000 : 20_000);
    let most = before;
    while (performance.now() < end) {
      await delay(50);
      most = Math.max(most, residentMiB(pids));
    }
    tally.measure({ name: 'growth of resident memory', value: most - before, unit: 'MiB', goal: GROWTH_MIB });
    tally.find(
      'wrong outcomes',
      most - before < GROWTH_MIB ? 0 : 1,
      'memory',
      `less than ${GROWTH_MIB} MiB more`,
      `${most - before}`,
    );
    const stops = uuids.map((uuid) => world.request('PATCH', `/api/v1/commands/${uuid}`));
    goOn();
    for (const [i, answer] of (await Promise.all(stops)).entries()) {
      tally.find('wrong outcomes', answer?.status === 200 ? 0 : 1, `${uuids[i]}`, '200', `${answer?.status}`);
    }
    await judge(round, world);
  },
};

/** The first bytes of a text without end, as long as a piece. */
const endless = (text: string) =>
  `substring(convert_to(repeat(E'${text}', octet_length(data) / 2 + 1), 'UTF8') FROM 1 FOR octet_length(data))`;

/** All that is stored is lines of `y`; a piece may begin in the middle of one. */
async function judge({ tally }: Round, world: World): Promise<void> {
  const { rows } = await world.query(
    `SELECT command_uuid AS uuid, status, output_bytes::text AS bytes,
       coalesce(sum(octet_length(data)), 0)::text AS stored,
       coalesce(bool_and(data IN (${endless('y\\n')}, ${endless('\\ny')})), true) AS whole
     FROM commands c LEFT JOIN command_output o ON o.command_id = c.id GROUP BY c.id`,
  );
  for (const { uuid, status, bytes, stored, whole } of rows) {
    const isRight = status === 'STOPPED' && bytes === stored && whole;
    const found = `${status} with ${bytes} bytes, ${stored} stored, ${whole ? 'all' : 'not all'} of it lines of y`;
    tally.find('wrong outcomes', isRight ? 0 : 1, uuid, 'STOPPED, all stored, lines of y', found);
  }
}
