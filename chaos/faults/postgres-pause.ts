/** SIGSTOP of PostgreSQL: it does not end, and does not answer. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault, Round } from '../fault.ts';
import { mixedLoad } from '../mixed-load.ts';
import { startPostgres } from '../postgres.ts';
import { World } from '../world.ts';

/** How long the server may take to say that it is healthy, in ms. */
const HEALTH_MS = 50;

export const postgresPause: Fault = {
  name: 'postgres-pause',
  summary: 'SIGSTOP of PostgreSQL, up to a minute, under load; health is asked meanwhile',
  roundsOf200: 10,
  async round(round) {
    const { random, scope } = round;
    const postgres = await startPostgres(round);
    const world = await World.start(round, { databaseUrl: postgres.url });
    const load = mixedLoad(world, round);
    await delay(random.int(200, 2000));
    const goOn = await postgres.processes.pause();
    scope.teardown(goOn);
    // Longer than a client waits for its 201, in some rounds; longer than any statement may take, in every fifth.
    const pauseMs = round.number % 5 === 0 ? 60_000 : random.int(2000, 10_000);
    await askHealth(round, world, round.quick ? 2000 : pauseMs);
    goOn();
    await (await load).judge();
  },
};

async function askHealth({ tally }: Round, world: World, ms: number): Promise<void> {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    const askedAt = performance.now();
    const answer = await world.request('GET', '/manage/health');
    const value = performance.now() - askedAt;
    tally.measure({ name: 'slowest answer of /manage/health meanwhile', value, unit: 'ms', goal: HEALTH_MS });
    tally.find('wrong outcomes', answer?.status === 200 ? 0 : 1, '/manage/health', '200', `${answer?.status}`);
    await delay(50);
  }
}
