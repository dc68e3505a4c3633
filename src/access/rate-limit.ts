/** How many requests a client may send in a minute. */
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { RateLimited } from '../errors.ts';
import { clientOf } from './client.ts';

/** How many clients are kept in mind; beyond that those who were not seen for the longest time are forgotten. */
const CLIENTS = 10_000;

/** Counts a request for its client. @throws RateLimited */
export type CountRequest = (request: FastifyRequest) => Promise<void>;

/** Not as hooks of routes: those who are refused count too, and so do requests that have no route. */
export async function createRateLimit(app: FastifyInstance, perMinute: number): Promise<CountRequest> {
  await app.register(rateLimit, {
    global: false,
    max: perMinute,
    timeWindow: 60_000,
    cache: CLIENTS,
    keyGenerator: clientOf,
  });
  const count = app.createRateLimit();
  return async (request) => {
    const counted = await count(request);
    if (!counted.isAllowed && counted.isExceeded) throw new RateLimited(perMinute, counted.ttlInSeconds);
  };
}
