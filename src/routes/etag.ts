/** `ETag` and `If-None-Match` (RFC 9110, 13.1.2): who has an answer already does not get it again. */
import { hash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** An `onSend` hook: tags what a route answers with 200; what the client says it has becomes 304. */
export async function tagAnswer(request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> {
  if (reply.statusCode !== 200 || typeof payload !== 'string') return payload;
  const tag = `"${hash('sha256', payload, 'base64url')}"`;
  reply.header('etag', tag);
  const known = request.headers['if-none-match']?.split(',').map((text) => text.trim().replace(/^W\//, '')) ?? [];
  if (!known.includes(tag) && !known.includes('*')) return payload;
  reply.code(304).removeHeader('content-type');
  return null;
}
