import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createDatabase } from '../helpers/cluster.ts';
import { processesWith, uniqueSeconds } from '../helpers/processes.ts';
import { startServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

for (const kind of ['its own PostgreSQL', 'the PostgreSQL of DATABASE_URL']) {
  t.test(
    `after a kill -9 of a server with ${kind} nothing that was stored is lost, nothing runs on or twice`,
    async (t) => {
      const DATA_DIR = join(temporaryFolder(t), 'data');
      const fixed: Record<string, string> = { DATA_DIR, SHELLVISOR_MAX_PARALLEL: '1' };
      if (kind !== 'its own PostgreSQL') fixed.DATABASE_URL = await createDatabase(t);
      const server = await startServer(t, fixed, { entry: 'server.ts' });
      const seconds = uniqueSeconds();
      const submit = async (path: string, script: string) => (await server.request('POST', path, { script })).body.uuid;

      const running = await submit(
        '/api/v1/durables/commands',
        `echo started >> ../../runs; echo stored; (setsid sleep ${seconds} &); sleep ${seconds}; echo never`,
      );
      const waiting = await submit('/api/v1/commands', 'echo started >> ../../queued-runs; echo ran');
      await until('its output is stored', async () => {
        const { body } = await server.request('GET', `/api/v1/commands/${running}`);
        return body.output === 'stored\n' && processesWith(seconds).length >= 2;
      });
      await server.end('SIGKILL');
      // One that is just exec'ing shows no arguments.
      await until('its script outlives the server for a while', () => processesWith(seconds).length >= 2);

      const again = await startServer(t, fixed, { entry: 'server.ts' });
      const get = async (uuid: string) => (await again.request('GET', `/api/v1/commands/${uuid}`)).body;
      t.match(await get(running), {
        status: 'FAILED',
        reason: 'lost',
        exit_code: null,
        output: 'stored\n',
        output_bytes: 7,
        error: 'the server ended while the command ran',
      });
      t.same(processesWith(seconds), [], 'once it shows as lost nothing of it lives');
      await until('the queued one ran', async () => (await get(waiting)).status === 'EXECUTED');
      t.equal(readFileSync(join(DATA_DIR, 'work', 'runs'), 'utf8'), 'started\n');
      t.equal(readFileSync(join(DATA_DIR, 'work', 'queued-runs'), 'utf8'), 'started\n');
      t.same(await again.end(), { code: 0, signal: null });
    },
  );
}
