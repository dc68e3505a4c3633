import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import t from 'tap';
import { createDatabase } from '../helpers/cluster.ts';
import { isAlive } from '../helpers/processes.ts';
import { freePort, serverPid, startServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

t.test('what a dead server had still asked of PostgreSQL is not mixed with what the next one stores', async (t) => {
  const folder = temporaryFolder(t);
  const DATABASE_URL = await createDatabase(t);
  // A port that stays the same over restarts.
  const server = await startServer(t, { DATABASE_URL, DATA_DIR: join(folder, 'data'), PORT: `${await freePort()}` });
  let uuid = '';
  /** Null between two servers: nobody listens there. */
  const look = async () => (await server.request('GET', `/api/v1/commands/${uuid}`).catch(() => null))?.body;
  const gate = (name: string) => `until [ -e ${join(folder, name)} ]; do sleep 0.01; done`;
  const script = `echo one; ${gate('second')}; echo two; ${gate('third')}; echo three; touch ${join(folder, 'printed')}`;
  uuid = (await server.request('POST', '/api/v1/durables/commands', { script })).body.uuid;
  await until('the first line is stored', async () => (await look())?.output === 'one\n');
  const blocker = new Client(DATABASE_URL);
  await blocker.connect();
  // Keeps PostgreSQL from inserting output, and lets it read.
  await blocker.query('BEGIN; LOCK TABLE command_output IN SHARE MODE');
  const insertsWait = async (pids: number[]) => {
    const { rows } = await blocker.query(
      `SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'command_output'::regclass AND NOT pid = ANY($1)`,
      [pids],
    );
    return rows.length > 0 && rows.map(({ pid }) => pid as number);
  };
  writeFileSync(join(folder, 'second'), '');
  await until('the second line waits in PostgreSQL', () => insertsWait([]));
  const pid = await serverPid(server);
  process.kill(pid, 'SIGKILL');
  await until('the server is gone', () => !isAlive(pid));
  writeFileSync(join(folder, 'third'), '');
  // The next server finds one line stored, and gets the other two, which are one piece by now.
  await until('all is printed', () => existsSync(join(folder, 'printed')));
  await until('the next server answers', look);
  await blocker.query('ROLLBACK');
  await blocker.end();
  const { status, output, output_bytes } = await until('it ended', async () => {
    const command = await look();
    return command?.ended_at == null ? null : command;
  });
  t.same({ status, output, output_bytes }, { status: 'EXECUTED', output: 'one\ntwo\nthree\n', output_bytes: 14 });
});
