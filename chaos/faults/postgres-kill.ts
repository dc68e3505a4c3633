/** `kill -9` of PostgreSQL while batches are on their way to it. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault, Round } from '../fault.ts';
import { mixedLoad } from '../mixed-load.ts';
import { PostgresProcesses, startPostgres } from '../postgres.ts';
import { World } from '../world.ts';

export const postgresKill: Fault = {
  name: 'postgres-kill',
  summary: 'kill -9 of the PostgreSQL of DATABASE_URL under load',
  roundsOf200: 50,
  async round(round) {
    const postgres = await startPostgres(round);
    const world = await World.start(round, { databaseUrl: postgres.url });
    const load = mixedLoad(world, round);
    await killOnce(round, postgres.processes);
    // It stays away for a while, as one that an operator has to start.
    await delay(round.random.int(0, round.quick ? 500 : 3000));
    await postgres.restart();
    await (await load).judge();
  },
};

export const embeddedPostgresKill: Fault = {
  name: 'embedded-postgres-kill',
  summary: 'kill -9 of the embedded PostgreSQL, which the server starts again',
  roundsOf200: 50,
  async round(round) {
    const world = await World.start(round, { databaseUrl: 'embedded' });
    const load = mixedLoad(world, round);
    await killOnce(round, new PostgresProcesses(join(world.folder, 'data', 'postgres')));
    await (await load).judge();
  },
};

async function killOnce({ random }: Round, processes: PostgresProcesses): Promise<void> {
  const which = random.pick(['postmaster', 'all'] as const);
  await delay(random.int(200, 2500));
  await processes.kill(which);
}
