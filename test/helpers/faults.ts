/** What tests of faults do with a server while its database, or the server itself, may be away. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import type { Test } from 'tap';
import { compareEnded, oracleScript, readPrinted, readStored } from './oracle.ts';
import { faultOf } from './path.ts';
import type { TestServer } from './server.ts';
import { until } from './until.ts';

export const COMMANDS = '/api/v1/commands';
export const DURABLES = '/api/v1/durables/commands';

/** Posts a script and gives its uuid. */
export async function submit(server: TestServer, script: string, path = COMMANDS): Promise<string> {
  const { status, body } = await server.request('POST', path, { script });
  if (status !== 201) throw new Error(`${status} ${JSON.stringify(body)}`);
  return body.uuid;
}

/** Starts scripts of the oracle, regular and durable ones in turns. */
export async function startOracles(server: TestServer, folder: string, count: number, lines: number, parallel = count) {
  const started: { uuid: string; side: string }[] = [];
  for (let i = 0; i < count; i++) {
    const side = join(folder, `side${i}`);
    const script = oracleScript({ side, lines, filler: 40, pauseEvery: 10, pauseMs: 10, exitCode: 7 });
    started.push({ uuid: await submit(server, script, i % 2 === 0 ? COMMANDS : DURABLES), side });
  }
  const printing = () => started.filter(({ side }) => existsSync(`${side}.stdout`));
  await until('as many print as may run at once', () => printing().length >= parallel);
  return started;
}

/** Waits for the end of such scripts: what is stored is what their side files have, each ran once, each outcome is right. */
export async function checkOracles(
  t: Test,
  server: TestServer,
  databaseUrl: string,
  oracles: { uuid: string; side: string }[],
): Promise<void> {
  const outcomes = [];
  for (const { uuid } of oracles) outcomes.push(await ended(server, uuid));
  const db = new Client(databaseUrl);
  await db.connect();
  for (const [i, { uuid, side }] of oracles.entries()) {
    t.match(outcomes[i], { status: 'FAILED', exit_code: 7, reason: 'exit' }, side);
    const printed = readPrinted(side);
    t.same(compareEnded(await readStored(db, uuid), printed), { lost: 0, doubled: 0, disordered: false }, side);
    t.equal(printed.runs, 1, `${side}: run once`);
    const { body: path } = await server.request('GET', `${COMMANDS}/${uuid}/transitions`);
    t.equal(faultOf(path, 'FAILED'), null, `${side}: its path`);
  }
  await db.end();
}

/** Waits for an end, while the database or the server may be away now and then. */
export const ended = (server: TestServer, uuid: string) =>
  until(
    `${uuid} ended`,
    async () => {
      const { status, body } = await server
        .request('GET', `${COMMANDS}/${uuid}`)
        .catch(() => ({ status: 0, body: null }));
      return status === 200 && body.ended_at !== null && body;
    },
    60_000,
  );

export const readiness = async (server: TestServer) => (await server.request('GET', '/manage/ready')).body.status;
export const becomesReady = (server: TestServer) =>
  until('the server is ready', async () => (await readiness(server).catch(() => null)) === 'ready');

/** Asks for health all the time; gives how long the answers took, in ms. */
export function watchHealth(server: TestServer) {
  const times: number[] = [];
  let watching = true;
  const done = (async () => {
    while (watching) {
      const before = performance.now();
      const { status, body } = await server.request('GET', '/manage/health');
      if (status !== 200 || body !== 'Status OK') throw new Error(`health: ${status} ${body}`);
      times.push(performance.now() - before);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  return async () => {
    watching = false;
    await done;
    return times.sort((a, b) => a - b);
  };
}

/** Not the longest one: on a busy machine any single answer may be late. */
export function checkHealth(t: Test, times: number[]): void {
  const median = times[Math.floor(times.length / 2)] ?? Number.NaN;
  t.ok(median < 50, `health was answered in ${median} ms`);
}
