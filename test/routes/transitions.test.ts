import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { startApp } from '../helpers/app.ts';
import { faultOf, type PathStep } from '../helpers/path.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const { submit, reaches, request, database } = await startApp(t, { stopGraceMs: 100, maxParallel: 5 });

type Step = PathStep & { at: string };
const COMMANDS = '/api/v1/commands';
const transitions = (uuid: string) => request('GET', `${COMMANDS}/${uuid}/transitions`);
const pathOf = async (uuid: string): Promise<Step[]> => (await transitions(uuid)).body;
/** Events and the states that they led to. */
const brief = (path: readonly PathStep[]) => path.map(({ event, to }) => `${event} → ${to}`);

const UP = ['admit → queued', 'start → executing.starting', 'process.started → executing.running'];

t.test('a command that has ended tells its whole path', async (t) => {
  const uuid = await submit('exit 0');
  const command = await reaches(uuid, 'EXECUTED');
  const { status, body } = await transitions(uuid);
  t.equal(status, 200);
  const between = body.map(({ at }: Step) => at);
  t.same(body, [
    { from: null, event: 'admit', to: 'queued', at: command.created_at },
    { from: 'queued', event: 'start', to: 'executing.starting', at: between[1] },
    { from: 'executing.starting', event: 'process.started', to: 'executing.running', at: between[2] },
    { from: 'executing.running', event: 'process.ended', to: 'storing', at: between[3] },
    { from: 'storing', event: 'store is done', to: 'executed', at: command.ended_at },
  ]);
  for (const at of between) t.equal(at, new Date(at).toISOString());
  t.same(between, between.toSorted());
});

t.test('one that fails ends where it failed', async (t) => {
  for (const [script, end] of [
    ['exit 3', ['process.ended → storing', 'store is done → failed']],
    ['kill -9 $$', ['process.ended → storing', 'store is done → failed']],
  ] as const) {
    const uuid = await submit(script);
    await reaches(uuid, 'FAILED');
    t.same(brief(await pathOf(uuid)), [...UP, ...end], script);
  }
});

t.test(
  'the path of a command shows while it runs, of a regular one too, and so does the ladder of a stop',
  async (t) => {
    const ready = join(temporaryFolder(t), 'ready');
    const uuid = await submit(`trap '' TERM; >'${ready}'; while :; do sleep 0.02; done`);
    const seen = await until('it shows as running', async () => {
      const path = await pathOf(uuid);
      return path.at(-1)?.to === 'executing.running' ? path : null;
    });
    t.same(brief(seen), UP);
    await until('it ignores SIGTERM', () => existsSync(ready));
    const stops = await Promise.all(Array.from({ length: 5 }, () => request('PATCH', `${COMMANDS}/${uuid}`)));
    t.same(
      stops.map(({ status }) => status),
      [200, 200, 200, 200, 200],
    );
    const path = await pathOf(uuid);
    t.same(path.slice(0, 3), seen, 'what was seen stays as it was');
    t.same(brief(path), [
      ...UP,
      'stop → executing.terminating',
      'after grace → executing.killing',
      'process.ended → storing',
      'store is done → stopped',
    ]);
  },
);

t.test('a command that takes too long, and one that prints too much', async (t) => {
  // They end at once, but on a busy machine that may show late.
  const { request, reaches } = await startApp(t, { stopGraceMs: 60_000 });
  const pathOf = async (uuid: string): Promise<Step[]> =>
    (await request('GET', `${COMMANDS}/${uuid}/transitions`)).body;
  const late = await request('POST', COMMANDS, { script: 'exec sleep 60', timeout_ms: 30 });
  await reaches(late.body.uuid, 'FAILED');
  t.same(brief(await pathOf(late.body.uuid)), [
    ...UP,
    'after timeout → executing.terminating',
    'process.ended → storing',
    'store is done → failed',
  ]);
  const loud = await request('POST', COMMANDS, { script: 'yes', on_output_limit: 'kill' });
  await reaches(loud.body.uuid, 'FAILED');
  t.same(brief(await pathOf(loud.body.uuid)), [
    ...UP,
    'process.overflowed → executing.terminating',
    'process.ended → storing',
    'store is done → failed',
  ]);
});

t.test('a command that is stopped before its turn', async (t) => {
  const running = await Promise.all(Array.from({ length: 5 }, () => submit('exec sleep 60')));
  const waiting = await submit('true');
  t.same(brief(await pathOf(waiting)), ['admit → queued']);
  await request('PATCH', `${COMMANDS}/${waiting}`);
  t.same(brief(await pathOf(waiting)), ['admit → queued', 'stop → storing', 'store is done → stopped']);
  await Promise.all(running.map((uuid) => request('DELETE', `${COMMANDS}/${uuid}`)));
});

t.test('whoever reads a terminal status reads the path to its end', async (t) => {
  const uuids = await Promise.all(Array.from({ length: 60 }, (_, i) => submit(`exit ${i % 2}`)));
  const open = new Set(uuids);
  let looks = 0;
  while (open.size > 0) {
    for (const uuid of open) {
      const { body: command } = await request('GET', `${COMMANDS}/${uuid}?output=false`);
      if (command.ended_at === null) continue;
      looks++;
      const fault = faultOf(await pathOf(uuid), command.status);
      if (fault !== null) t.fail(fault);
      open.delete(uuid);
    }
  }
  t.equal(looks, 60);
});

t.test('what is no command has no path, and a deleted one leaves none', async (t) => {
  for (const uuid of ['00000000-0000-4000-8000-000000000000', 'x']) {
    t.match(await transitions(uuid), { status: 404, body: { code: 'COMMAND_NOT_FOUND' } });
  }
  const uuid = await submit('true');
  await reaches(uuid, 'EXECUTED');
  const of = `SELECT * FROM command_transitions WHERE command_id = $1`;
  const [{ id }] = await database.rows('SELECT id FROM commands WHERE command_uuid = $1', [uuid]);
  t.equal((await database.rows(of, [id])).length, 1);
  await request('DELETE', `${COMMANDS}/${uuid}`);
  t.same(await database.rows(of, [id]), []);
  t.equal((await transitions(uuid)).status, 404);
  const live = await submit('exec sleep 60');
  await until('its steps are stored', async () => (await pathOf(live)).length > 1);
  await request('DELETE', `${COMMANDS}/${live}`);
  const orphans = 'SELECT * FROM command_transitions WHERE command_id NOT IN (SELECT id FROM commands)';
  t.same(await database.rows(orphans), []);
});
