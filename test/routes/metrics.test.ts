import { readFileSync } from 'node:fs';
import t from 'tap';
import { startApp } from '../helpers/app.ts';
import { storeCommands } from '../helpers/stored.ts';

/** The samples of an exposition by name and labels. */
function samplesOf(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

t.test('GET /manage/metrics', async (t) => {
  const { request, submit, reaches } = await startApp(t, { maxParallel: 1, maxQueued: 7, stopGraceMs: 100 });
  const look = async () => samplesOf((await request('GET', '/manage/metrics')).body);

  const first = await submit('echo out; echo error >&2');
  await reaches(first, 'EXECUTED');
  await reaches(await submit('exit 3', '/api/v1/durables/commands'), 'FAILED');
  const running = await submit('exec sleep 1000');
  await reaches(running, 'EXECUTING');
  const waiting = await submit('true');
  await request('GET', `/api/v1/commands/${first}`);
  await request('GET', '/api/v1/commands/nothing-like-a-uuid');

  const { headers } = await request('GET', '/manage/metrics');
  t.match(headers['content-type'], /^text\/plain; version=0\.0\.4/);

  const busy = await look();
  t.equal(busy.get('shellvisor_commands_queued'), 1);
  t.equal(busy.get('shellvisor_commands_executing'), 1);
  t.equal(busy.get('shellvisor_slots'), 1);
  t.equal(busy.get('shellvisor_queue_limit'), 7);
  t.equal(busy.get('shellvisor_commands_created_total{durable="false"}'), 3);
  t.equal(busy.get('shellvisor_commands_created_total{durable="true"}'), 1);
  t.equal(busy.get('shellvisor_queue_wait_seconds_count'), 3, 'of those that have begun');
  t.ok(busy.has('shellvisor_journal_lag_seconds'));

  await request('DELETE', `/api/v1/commands/${waiting}`);
  await request('PATCH', `/api/v1/commands/${running}`);
  const idle = await look();
  t.equal(idle.get('shellvisor_commands_queued'), 0);
  t.equal(idle.get('shellvisor_commands_executing'), 0);
  t.equal(idle.get('shellvisor_commands_ended_total{status="EXECUTED",reason="exit"}'), 1);
  t.equal(idle.get('shellvisor_commands_ended_total{status="FAILED",reason="exit"}'), 1);
  t.equal(idle.get('shellvisor_commands_ended_total{status="STOPPED",reason="stop"}'), 2, 'the waiting one too');
  t.equal(idle.get('shellvisor_run_seconds_count{status="STOPPED"}'), 1, 'of those that ran');
  t.equal(idle.get('shellvisor_output_bytes_total{stream="stdout"}'), 4);
  t.equal(idle.get('shellvisor_output_bytes_total{stream="stderr"}'), 6);
  t.ok((idle.get('shellvisor_journal_batch_seconds_count') ?? 0) > 0);
  t.ok((idle.get('shellvisor_journal_batch_entries_sum') ?? 0) >= 4 + 3 + 4, 'new commands, starts and outcomes');
  const answered = (method: string, route: string, status: number) =>
    idle.get(`shellvisor_http_request_seconds_count{method="${method}",route="${route}",status="${status}"}`);
  t.equal(answered('POST', '/api/v1/commands', 201), 3);
  t.equal(answered('PATCH', '/api/v1/commands/:uuid', 200), 1);
  t.equal(answered('GET', '/api/v1/commands/:uuid', 404), 1);
});

t.test('what is stored shows in readiness and in the figures', async (t) => {
  const { request, database } = await startApp(t);
  await storeCommands(database, [
    { script: 'waits', status: 'QUEUED' },
    { script: 'runs', status: 'EXECUTING', pinned: true },
    { script: '12345', output: 'four' },
    { script: '123', status: 'FAILED', pinned: true },
  ]);
  const { storage } = (await request('GET', '/manage/ready')).body;
  const { disk_bytes: diskBytes, ...rest } = storage;
  t.same(rest, { commands: 4, pinned: 1, bytes: 12 });
  t.ok(diskBytes > 100_000 && diskBytes < 10_000_000, `${diskBytes} bytes of tables and indexes`);
  const figures = samplesOf((await request('GET', '/manage/metrics')).body);
  t.equal(figures.get('shellvisor_stored_commands'), 4);
  t.equal(figures.get('shellvisor_stored_pinned_commands'), 1);
  t.equal(figures.get('shellvisor_stored_bytes'), 12);
  t.equal(figures.get('shellvisor_stored_disk_bytes'), diskBytes);
});

t.test('docs/metrics.md lists all of ours', async (t) => {
  const { request } = await startApp(t);
  const { body } = await request('GET', '/manage/metrics');
  const names = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, name, type]) => [name, type]);
  const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  t.same(
    names(page, /^\| `(shellvisor_\w+)` \| (\w+)/gm).sort(),
    names(body, /^# TYPE (shellvisor_\w+) (\w+)$/gm).sort(),
  );
});
