import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import t from 'tap';
import { buildDocumentedApp } from '../../scripts/openapi.ts';

const MIB = 1024 * 1024;

/** Sends a body of spaces and waits until all of it is taken. */
async function send(url: string, mebibytes: number, headers: Record<string, string | number>) {
  const outgoing = request(url, { method: 'POST', headers });
  const answered: Promise<IncomingMessage[]> = once(outgoing, 'response');
  const spaces = Buffer.alloc(MIB, ' ');
  await pipeline(Readable.from(Array(mebibytes).fill(spaces)), outgoing);
  const [response] = await answered;
  return { status: response?.statusCode, body: JSON.parse((await response?.toArray())?.join('') ?? '') };
}

t.test('a client whose body is refused can send it to its end and gets the answer, no reset', async (t) => {
  const app = await buildDocumentedApp();
  t.teardown(() => app.close());
  const url = `${await app.listen({ port: 0 })}/api/v1/commands`;
  const json = { 'content-type': 'application/json' };

  const announced = await send(url, 64, { ...json, 'content-length': 64 * MIB });
  t.match(announced, { status: 413, body: { code: 'BODY_TOO_LARGE' } }, 'of a known length');

  const chunked = await send(url, 64, json);
  t.match(chunked, { status: 413, body: { code: 'BODY_TOO_LARGE' } }, 'in chunks');

  const form = await send(url, 64, { 'content-type': 'text/plain' });
  t.match(form, { status: 415, body: { code: 'UNSUPPORTED_MEDIA_TYPE' } }, 'of another type');
});
