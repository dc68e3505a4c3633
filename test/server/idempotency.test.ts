import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ended, setup } from '../helpers/launcher.ts';
import { until } from '../helpers/until.ts';

t.test('a client whose server was killed after the commit sends its request again, and it has run once', async (t) => {
  const { server, env } = await setup(t, { SHELLVISOR_FAILPOINT: 'after-insert', SHELLVISOR_MAX_PARALLEL: '1' });
  const post = async (path: string, script: string) => {
    const headers = { 'content-type': 'application/json', 'idempotency-key': 'key' };
    const answer = await fetch(server.url + path, { method: 'POST', headers, body: JSON.stringify({ script }) });
    const { uuid, code } = (await answer.json()) as { uuid?: string; code?: string };
    return { status: answer.status, replayed: answer.headers.get('idempotency-replayed'), uuid, code };
  };
  const script = 'echo run >> ../../runs';
  await t.rejects(post('/api/v1/commands', script), TypeError, 'it has no answer');
  const again = await until('the next server answers', async () => {
    const answer = await post('/api/v1/commands', script).catch(() => null);
    return answer?.status === 503 ? null : answer;
  });
  t.match(again, { status: 201, replayed: 'true', uuid: /^[0-9a-f-]{36}$/ });
  t.match(await ended(server, `${again.uuid}`), { status: 'EXECUTED' });
  t.same(await post('/api/v1/commands', script), again);
  t.match(await post('/api/v1/durables/commands', script), { status: 409, code: 'IDEMPOTENCY_KEY_REUSED' });
  const { body } = await server.request('GET', '/api/v1/commands');
  t.same(
    body.map((command: { command_uuid: string }) => command.command_uuid),
    [again.uuid],
  );
  t.equal(readFileSync(join(env.DATA_DIR, 'work', 'runs'), 'utf8'), 'run\n');
});
