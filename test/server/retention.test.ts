import { Client } from 'pg';
import t from 'tap';
import { createDatabase } from '../helpers/cluster.ts';
import { startServer } from '../helpers/server.ts';
import { storeCommands } from '../helpers/stored.ts';
import { until } from '../helpers/until.ts';

t.test('a server deletes at its start what is too much, and tells of it', async (t) => {
  const url = await createDatabase(t);
  const client = new Client(url);
  await client.connect();
  const rows = async (text: string, values?: unknown[]) => (await client.query(text, values)).rows;
  const seconds = (n: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, n)).toISOString();
  await storeCommands({ rows }, [
    { description: 'kept', pinned: true, endedAt: seconds(0) },
    ...Array.from({ length: 5 }, (_, i) => ({ description: `${i}`, endedAt: seconds(i + 1) })),
  ]);
  await client.end();

  const env = { DATABASE_URL: url, SHELLVISOR_RETENTION_COUNT: '2', SHELLVISOR_RETENTION_BYTES: '7' };
  const server = await startServer(t, env);
  const list = async () =>
    (await server.request('GET', '/api/v1/commands?fields=description')).body.map(
      ({ description }: { description: string }) => description,
    );
  await until('they are deleted', async () => (await list()).length <= 2);
  t.same(await list(), ['4', 'kept']);

  const metrics = await until('it is counted', async () => {
    const { body } = await server.request('GET', '/manage/metrics');
    return body.includes('retention_deleted_total{rule="bytes"} 1') && body;
  });
  t.match(metrics, /^shellvisor_retention_deleted_total\{rule="count"\} 3$/m);
  t.match(metrics, /^shellvisor_retention_deleted_bytes_total\{rule="count"\} 12$/m);
  t.match(metrics, /^shellvisor_retention_deleted_bytes_total\{rule="bytes"\} 4$/m);
  t.match(server.stderr(), /"rule":"count","commands":3,"bytes":12,"msg":"retention has deleted commands"/);

  const { storage } = (await server.request('GET', '/manage/ready')).body;
  t.match(storage, { commands: Number, pinned: 1, bytes: Number });
  t.ok(storage.disk_bytes > 100_000);
  t.same(await server.end(), { code: 0, signal: null });
});
