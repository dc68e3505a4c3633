/** Sends so many requests to a server, and judges what comes of it. */
import { Agent } from 'node:http';
import fc from 'fast-check';
import { until } from '../test/helpers/until.ts';
import { type FuzzRequest, requests } from './generate.ts';
import { judge } from './judge.ts';
import { send } from './send.ts';

export interface Options {
  /** Such as `http://127.0.0.1:8080`. */
  origin: string;
  count: number;
  /** Repeats the requests of an earlier run, one batch after the other. */
  seed: number;
  secretPaths: readonly string[];
  /** Told after each batch. */
  onProgress?: (sent: number) => void;
}

export interface Findings {
  /** What was wrong, and with what; a few of many. */
  violations: string[];
  /** How many answers had which status code. */
  statuses: Record<number, number>;
}

const BATCH = 500;
/** Requests at the same time. */
const PARALLEL = 8;
const VIOLATIONS_MAX = 20;
/** How many uuids of new commands are kept for other requests. */
const KNOWN_MAX = 200;

export async function fuzz({ origin, count, seed, secretPaths, onProgress }: Options): Promise<Findings> {
  const agent = new Agent({ keepAlive: true, maxSockets: PARALLEL });
  const known: string[] = [];
  const findings: Findings = { violations: [], statuses: {} };

  const sendOne = async (request: FuzzRequest) => {
    const path = request.path.replace(/\{known (\d+)\}/, (_, n) => known[n % known.length] ?? 'none-yet');
    const answer = await send(origin, agent, request, path).catch((error: Error) => error);
    const wrong = answer instanceof Error ? answer.message : judge(request, answer, secretPaths);
    if (wrong !== undefined) findings.violations.push(`${wrong}\n  ${described(request, path)}`);
    if (answer instanceof Error) return;
    findings.statuses[answer.status] = (findings.statuses[answer.status] ?? 0) + 1;
    const uuid = answer.status === 201 && JSON.parse(answer.text).uuid;
    if (uuid) known[known.length < KNOWN_MAX ? known.length : Math.floor(Math.random() * KNOWN_MAX)] = uuid;
  };

  for (let sent = 0; sent < count && findings.violations.length < VIOLATIONS_MAX; sent += BATCH) {
    const batch = fc.sample(requests, { seed: seed + sent, numRuns: Math.min(BATCH, count - sent) });
    const rest = batch.values();
    await Promise.all(
      Array.from({ length: PARALLEL }, async () => {
        for (const request of rest) await sendOne(request);
      }),
    );
    onProgress?.(Math.min(sent + BATCH, count));
  }
  agent.destroy();
  findings.violations.push(...(await judgeServer(origin)));
  return findings;
}

/** What is wrong with the server afterwards: it must be well, and every command must come to its end. */
async function judgeServer(origin: string): Promise<string[]> {
  const get = async (path: string) => (await fetch(origin + path)).text();
  if ((await get('/manage/health')) !== 'Status OK') return ['the server is not well'];
  const live = '/api/v1/commands?status=QUEUED,EXECUTING&fields=command_uuid';
  await until('all commands have ended', async () => (await get(live)) === '[]');
  const { status } = JSON.parse(await get('/manage/ready'));
  return status === 'ready' ? [] : [`the server is ${status}`];
}

/** A request, so that it can be sent again. */
function described({ operation, headers, body }: FuzzRequest, path: string): string {
  return `${operation.method} ${path} ${JSON.stringify(headers)} ${body?.toString().slice(0, 1000) ?? ''}`;
}
