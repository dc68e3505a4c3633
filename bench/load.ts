/** The load generator: requests back to back over some connections that stay open. */
import { createHistogram } from 'node:perf_hooks';
import { type Dispatcher, Pool } from 'undici';

export type Request = Pick<Dispatcher.RequestOptions, 'method' | 'path' | 'body'>;

export interface Load {
  requests: number;
  seconds: number;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
}

const headers = { 'content-type': 'application/json' };
const NS_A_MS = 1e6;

/**
 * Sends what `next` gives until it gives undefined. @throws when an answer is not a success: a figure of refused
 * requests would be none.
 */
export async function send(origin: string, connections: number, next: () => Request | undefined): Promise<Load> {
  const pool = new Pool(origin, { connections });
  const latency = createHistogram();
  const sendInTurn = async () => {
    for (let request = next(); request !== undefined; request = next()) {
      const sentAt = performance.now();
      const { statusCode, body } = await pool.request({ ...request, headers });
      await body.arrayBuffer();
      latency.record(Math.ceil((performance.now() - sentAt) * NS_A_MS));
      if (statusCode >= 300) throw new Error(`${request.method} ${request.path} was answered with ${statusCode}`);
    }
  };
  const startedAt = performance.now();
  try {
    await Promise.all(Array.from({ length: connections }, sendInTurn));
  } finally {
    await pool.destroy();
  }
  const seconds = (performance.now() - startedAt) / 1000;
  return {
    requests: latency.count,
    seconds,
    perSecond: latency.count / seconds,
    p50Ms: latency.percentile(50) / NS_A_MS,
    p99Ms: latency.percentile(99) / NS_A_MS,
  };
}

/** Submits the same script `count` times. */
export function submit(origin: string, connections: number, count: number, script: string): Promise<Load> {
  const request: Request = { method: 'POST', path: '/api/v1/commands', body: JSON.stringify({ script }) };
  let left = count;
  return send(origin, connections, () => (left-- > 0 ? request : undefined));
}

/** Gets these paths, one after the other and over again, for some seconds. */
export function get(origin: string, connections: number, seconds: number, paths: string[]): Promise<Load> {
  const deadline = performance.now() + seconds * 1000;
  let count = 0;
  return send(origin, connections, () => {
    if (performance.now() > deadline) return undefined;
    return { method: 'GET', path: paths[count++ % paths.length] as string };
  });
}
