import t from 'tap';
import { createDatabase } from '../helpers/cluster.ts';
import { startServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

t.test('a server runs a script and keeps its output', async (t) => {
  const server = await startServer(t, { DATABASE_URL: await createDatabase(t), DATA_DIR: temporaryFolder(t) });
  const created = await server.request('POST', '/api/v1/commands', { script: 'echo hello' });
  t.equal(created.status, 201);
  const path = created.headers.get('location') ?? '';
  t.equal(path, `/api/v1/commands/${created.body.uuid}`);
  const command = await until('the command ended', async () => {
    const { body } = await server.request('GET', path);
    return body.status === 'EXECUTED' && body;
  });
  t.match(command, { output: 'hello\n', exit_code: 0, reason: 'exit', output_bytes: 6, durable: false });
  t.same(await server.end(), { code: 0, signal: null });
});
