/** The server that is fuzzed: launcher and server as `npm start` starts them. */
import { fileURLToPath } from 'node:url';
import { processesWith } from '../test/helpers/processes.ts';
import type { Scope } from '../test/helpers/scope.ts';
import { startServer, temporaryFolder } from '../test/helpers/server.ts';

const CHECKOUT = fileURLToPath(new URL('..', import.meta.url));

export async function startFuzzed(scope: Scope, databaseUrl: string) {
  const folder = temporaryFolder(scope);
  const server = await startServer(scope, { DATABASE_URL: databaseUrl, DATA_DIR: folder, LOG_LEVEL: 'warn' });
  return {
    url: server.url,
    /** Where it lives: no answer may tell. */
    secretPaths: [folder, CHECKOUT],
    /** What has gone wrong that no answer shows: it crashed, it has logged errors, or processes are left. */
    failures(): string[] {
      const errors = server.stderr().match(/^\{"level":[56]0.*$/gm) ?? [];
      const left = processesWith(`${folder}/`);
      return [
        ...(server.child.exitCode === null ? [] : [`the server ended with ${server.child.exitCode}`]),
        ...errors.slice(0, 10).map((line) => `in the log: ${line}`),
        ...left.map((pid) => `process ${pid} is left`),
      ];
    },
  };
}
