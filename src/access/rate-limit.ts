/** How many requests a caller may send. */
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';
import { RateLimited } from '../errors.ts';
import { clientOf } from './client.ts';

/** How many callers are kept in mind; beyond that those who were not seen for the longest time are forgotten. */
const CALLERS = 10_000;

/** Limits all routes that are registered afterwards. Whoever looks after the server may always ask whether it lives. */
export async function limitRate(app: FastifyInstance, perMinute: number): Promise<void> {
  await app.register(rateLimit, {
    max: perMinute,
    timeWindow: 60_000,
    cache: CALLERS,
    keyGenerator: clientOf,
    allowList: ({ routeOptions }) => routeOptions.config.access === 'public',
    errorResponseBuilder: (_, { ttl }) => new RateLimited(perMinute, Math.ceil(ttl / 1000)),
  });
}
