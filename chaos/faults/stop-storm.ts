/** Ten thousand stops of one command at once: one stop ladder, and the same answer for all. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Pool } from 'undici';
import { as } from '../../test/helpers/access.ts';
import { until } from '../../test/helpers/until.ts';
import type { Fault, Round } from '../fault.ts';
import { SENDER, STOPPER } from '../ground.ts';
import { OPEN_WAIT, wait } from '../waiting.ts';
import { World } from '../world.ts';

/** Requests that a connection carries at once; the server handles those of a connection at the same time. */
const PIPELINED = 10;
/** From SIGTERM to SIGKILL in this fault, in ms: while it lasts stops come in. */
const GRACE_MS = 4000;

export const stopStorm: Fault = {
  name: 'stop-storm',
  summary: '10,000 concurrent stops of one command that counts its signals',
  roundsOf200: 1,
  async round(round) {
    const { tally, quick } = round;
    const count = quick ? 1000 : 10_000;
    const grace = quick ? 1000 : GRACE_MS;
    const world = await World.start(round, { env: { SHELLVISOR_STOP_GRACE_MS: `${grace}` } });
    const trail = join(world.folder, 'trail');
    const script = `trap "echo TERM >> '${trail}'" TERM; ${OPEN_WAIT}; echo ready >> '${trail}'; while :; do ${wait(50)}; done`;
    const { body } = await world.insist('POST', '/api/v1/commands', { script });
    await until('the script runs', () => existsSync(trail));
    const answers = await stopOften(world.launcher.url, `/api/v1/commands/${body.uuid}`, count);
    for (const [answer, often] of answers) {
      const isRight = answer === '200 {"message":"command stopped successfully"}';
      tally.find('wrong outcomes', isRight ? 0 : often, body.uuid, '200 for each stop', `${often} times ${answer}`);
    }
    const signals = readFileSync(trail, 'latin1').match(/TERM/g)?.length;
    tally.find('wrong outcomes', signals === 1 ? 0 : 1, body.uuid, 'one SIGTERM', `${signals}`);
    await judgeRow(round, world, body.uuid);
  },
};

/** @returns how often each answer came. */
async function stopOften(origin: string, path: string, count: number): Promise<Map<string, number>> {
  const pool = new Pool(origin, { connections: Math.ceil(count / PIPELINED), pipelining: PIPELINED });
  const answers = new Map<string, number>();
  const stop = async () => {
    // A stop may be sent twice, so it may share a connection with others.
    const request = pool.request({ method: 'PATCH', path, headers: as(STOPPER), idempotent: true, blocking: false });
    const answer = await request.then(
      async ({ statusCode, body }) => `${statusCode} ${await body.text()}`,
      (error: Error) => `no answer: ${error.message}`,
    );
    answers.set(answer, (answers.get(answer) ?? 0) + 1);
  };
  await Promise.all(Array.from({ length: count }, stop));
  await pool.destroy();
  return answers;
}

async function judgeRow({ tally }: Round, world: World, uuid: string): Promise<void> {
  const { rows } = await world.query(
    'SELECT status, reason, signal, created_by, stopped_by FROM commands WHERE command_uuid = $1',
    [uuid],
  );
  const found = JSON.stringify(rows);
  const expected = JSON.stringify([
    { status: 'STOPPED', reason: 'stop', signal: 'SIGKILL', created_by: SENDER, stopped_by: STOPPER },
  ]);
  tally.find('wrong outcomes', found === expected ? 0 : 1, uuid, expected, found);
}
