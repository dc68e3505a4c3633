/**
 * Following: 200 at once get every byte of a fast durable command, those who read nothing cost little memory, and a line
 * is with all others soon after it was printed.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { createHistogram } from 'node:perf_hooks';
import { Shellvisor } from '../src/client/index.ts';
import { inRounds, type Run } from './benchmark.ts';
import { figure } from './figures.ts';
import { residentMiB } from './process.ts';
import { type Server, startServer } from './server.ts';

const FOLLOWERS = 200;
const STUCK = 100;
const NS_A_MS = 1e6;
/** How often memory is looked at, in ms. */
const SAMPLE_MS = 20;

export async function followers(run: Run): Promise<void> {
  const lines = run.quick ? 20_000 : 100_000;
  const loud = `seq -f 'line %08.0f of a log that is about as wide as logs are' ${lines}`;
  const ticks = run.quick ? 50 : 300;
  const ticking = `for ((i = 0; i < ${ticks}; i++)); do echo "$EPOCHREALTIME"; sleep 0.03; done`;
  const server = await startServer(run);
  // Code that has not run often yet is slow, and memory grows at first whatever is done.
  await follow(server, loud, FOLLOWERS / 10, 0);

  const rates: number[] = [];
  const growths: number[] = [];
  const p50s: number[] = [];
  const p99s: number[] = [];
  await inRounds(run, async () => {
    const { bytes, seconds } = await follow(server, loud, FOLLOWERS, 0);
    rates.push((bytes * FOLLOWERS) / 1e6 / seconds);
    growths.push((await follow(server, loud, FOLLOWERS - STUCK, STUCK)).growthMiB);
    const delays = await delaysOf(server, ticking);
    p50s.push(delays.percentile(50) / NS_A_MS);
    p99s.push(delays.percentile(99) / NS_A_MS);
  });
  figure(`followers: ${FOLLOWERS} of one loud command, all bytes right`, rates, 'MB/s');
  figure(`followers: growth of the server when ${STUCK} of them never read`, growths, 'MiB');
  figure(`followers: from a printed line to ${FOLLOWERS} of them, p50`, p50s, 'ms');
  figure('followers: … p99', p99s, 'ms');
}

/**
 * Has a durable command followed, by half of them as events, while it runs, and by some who never read.
 * @throws when one of them is not given what it printed.
 */
async function follow(server: Server, script: string, reading: number, stuck: number) {
  const client = new Shellvisor({ url: server.url });
  const { uuid } = await client.create({ script: `sleep 1; ${script}` }, { durable: true });
  const before = residentMiB(server.pids);
  let most = before;
  const sampling = setInterval(() => {
    most = Math.max(most, residentMiB(server.pids));
  }, SAMPLE_MS);
  const held = await Promise.all(Array.from({ length: stuck }, () => open(server, uuid)));
  const startedAt = performance.now();
  const digests = await Promise.all(
    Array.from({ length: reading }, (_, i) =>
      i % 2 === 0 ? digestOfBytes(server, uuid) : digestOfEvents(client, uuid),
    ),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  clearInterval(sampling);
  for (const answer of held) answer.destroy();
  const { output, output_bytes: bytes } = await client.get(uuid);
  const expected = createHash('sha256').update(output).digest('hex');
  const wrong = digests.filter((digest) => digest !== expected).length;
  if (wrong > 0) throw new Error(`${wrong} of ${reading} followers were not given what was printed`);
  return { bytes, seconds, growthMiB: most - before };
}

async function open(server: Server, uuid: string): Promise<IncomingMessage> {
  const request = get(`${server.url}/api/v1/commands/${uuid}/output?follow=true`, { agent: false });
  const [answer] = await once(request, 'response');
  return answer;
}

async function digestOfBytes(server: Server, uuid: string): Promise<string> {
  const digest = createHash('sha256');
  for await (const bytes of await open(server, uuid)) digest.update(bytes);
  return digest.digest('hex');
}

async function digestOfEvents(client: Shellvisor, uuid: string): Promise<string> {
  const digest = createHash('sha256');
  for await (const event of client.follow(uuid)) if (event.type === 'output') digest.update(event.bytes);
  return digest.digest('hex');
}

/** How long lines that say when they were printed take to all followers, in ns. */
async function delaysOf(server: Server, script: string) {
  const client = new Shellvisor({ url: server.url });
  const { uuid } = await client.create({ script }, { durable: true });
  const delays = createHistogram();
  const record = async () => {
    for await (const event of client.follow(uuid)) {
      if (event.type !== 'output') continue;
      const now = performance.timeOrigin + performance.now();
      for (const line of new TextDecoder().decode(event.bytes).split('\n').filter(Boolean)) {
        delays.record(Math.max(1, Math.round((now - Number(line) * 1000) * NS_A_MS)));
      }
    }
  };
  await Promise.all(Array.from({ length: FOLLOWERS }, record));
  return delays;
}
