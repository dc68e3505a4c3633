/** Servers below a launcher, and how to ask them while they come and go. */
import { join } from 'node:path';
import type { Test } from 'tap';
import { createDatabase } from './cluster.ts';
import { freePort, startServer, type TestServer, temporaryFolder } from './server.ts';
import { until } from './until.ts';

/** A server under a launcher, on a port that stays the same over its restarts. */
export async function setup(t: Test, env: Record<string, string> = {}) {
  const folder = temporaryFolder(t);
  // One that stays the same over restarts.
  const PORT = `${await freePort()}`;
  const all = {
    PORT,
    DATABASE_URL: await createDatabase(t),
    DATA_DIR: join(folder, 'data'),
    ...env,
  };
  const server = await startServer(t, all);
  const submit = async (path: string, text: string, options: object = {}): Promise<string> => {
    const { status, body } = await server.request('POST', path, { script: text, ...options });
    if (status !== 201) throw new Error(`${status} ${JSON.stringify(body)}`);
    return body.uuid;
  };
  return { folder, server, submit, env: all };
}

/** Asks until there is an answer: between two servers nobody listens. */
export const get = (server: TestServer, uuid: string) =>
  until('the server answers', () =>
    server.request('GET', `/api/v1/commands/${uuid}`).then(
      ({ body }) => body,
      () => null,
    ),
  );

/** Waits for the end of a command. */
export const ended = (server: TestServer, uuid: string) =>
  until(`${uuid} ended`, async () => {
    const command = await get(server, uuid);
    return command.ended_at === null ? null : command;
  });
