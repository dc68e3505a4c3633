/**
 * The cursor of a list: where its next page begins, as a text that only we need to understand. It holds a digest of the
 * filters, so that one is not taken to a list that it says nothing about. It never expires: a place is one also when its
 * command is gone.
 */
import { hash } from 'node:crypto';
import type { CommandFilter, ListPosition } from '../ports/reader.ts';

const DIGEST_BYTES = 8;
const BYTES = 16 + DIGEST_BYTES;

export function cursorOf({ id, createdAt }: ListPosition, filter: CommandFilter): string {
  const bytes = Buffer.alloc(BYTES);
  bytes.writeBigInt64BE(BigInt(id), 0);
  bytes.writeBigInt64BE(BigInt(createdAt), 8);
  digestOf(bytes, filter).copy(bytes, 16);
  return bytes.toString('base64url');
}

/** The place that a cursor stands for; undefined when it is none of a list with these filters. */
export function positionOf(cursor: string, filter: CommandFilter): ListPosition | undefined {
  const bytes = Buffer.from(cursor, 'base64url');
  if (bytes.length !== BYTES || bytes.toString('base64url') !== cursor) return undefined;
  if (!digestOf(bytes, filter).equals(bytes.subarray(16))) return undefined;
  return { id: Number(bytes.readBigInt64BE(0)), createdAt: Number(bytes.readBigInt64BE(8)) };
}

/** Of the place too: what somebody has changed in it is refused, not passed on to the database. */
function digestOf(bytes: Buffer, filter: CommandFilter): Buffer {
  const given = Object.entries(filter)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const text = `${bytes.toString('hex', 0, 16)} ${JSON.stringify(given)}`;
  return hash('sha256', text, 'buffer').subarray(0, DIGEST_BYTES);
}
