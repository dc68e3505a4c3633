/** Whom requests count for. */
import type { FastifyRequest } from 'fastify';

/** Who sends a request: by his token, or by his address where he has none. */
export function clientOf({ caller, ip }: FastifyRequest): string {
  return caller.name === null ? `address ${ip}` : `token ${caller.name}`;
}
