import { Client } from 'pg';
import t, { type Test } from 'tap';
import type { Stop } from '../../src/command.ts';
import { Changes } from '../../src/persistence/changes.ts';
import { Claim } from '../../src/persistence/claim.ts';
import { journalName } from '../../src/persistence/fence.ts';
import { createReader } from '../../src/persistence/reader.ts';
import { recover } from '../../src/persistence/recovery.ts';
import { openDatabase } from '../helpers/database.ts';
import { breakableNetwork } from '../helpers/network.ts';
import { until } from '../helpers/until.ts';

const uuid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

async function setup(t: Test) {
  const database = await openDatabase(t);
  const claim = await Claim.take(database.url);
  t.teardown(() => claim.close());
  const killed: string[] = [];
  const killLeftovers = async (uuids: readonly string[]) => {
    killed.push(...uuids);
    return uuids.length;
  };
  const insert = (n: number, owner: number, status: string) =>
    database.rows(
      `INSERT INTO commands
         (command_uuid, script, durable, created_at, owner, status, started_at, output_head, output_tail)
       VALUES ($1, 'true', true, now(), $2, $3, $4, $5, $5)`,
      [uuid(n), owner, status, ...(status === 'EXECUTING' ? [new Date(), 100] : [null, null])],
    );
  return {
    ...database,
    claim,
    killed,
    insert,
    run: () => recover(database.pool, claim, { living: new Map(), forget: () => {}, killLeftovers }),
  };
}

t.test('what a server that is gone had running is lost, with its output, and its processes are killed', async (t) => {
  const { run, insert, rows, killed, pool } = await setup(t);
  await insert(1, 1234, 'EXECUTING');
  await rows(`INSERT INTO command_output SELECT id, 0, 1, 'kept ' FROM commands`);
  await rows(`INSERT INTO command_output SELECT id, 5, 2, 'bytes' FROM commands`);
  t.match(await run(), { lost: 1, killed: 1, queued: [] });
  t.same(killed, [uuid(1)]);
  t.match(await createReader(pool, new Changes()).get(uuid(1)), {
    status: 'FAILED',
    reason: 'lost',
    exitCode: null,
    output: 'kept bytes',
    outputBytes: 10,
    error: 'the server ended while the command ran',
  });
});

t.test('what a server that only seemed to be gone is just storing belongs to what is lost', async (t) => {
  const { run, insert, rows, pool } = await setup(t);
  await insert(1, 1234, 'EXECUTING');
  const step = (place: number, event: string, to: string) =>
    rows('INSERT INTO command_transitions SELECT id, $1, $2 FROM commands FOR KEY SHARE', [
      place,
      JSON.stringify([[event, to, 1000]]),
    ]);
  await step(0, 'start', 'executing.starting');
  await rows('BEGIN');
  await rows(`INSERT INTO command_output SELECT id, 0, 1, 'late' FROM commands`);
  await step(1, 'process.started', 'executing.running');
  const running = run();
  const waiting = 'SELECT FROM pg_locks WHERE NOT granted AND transactionid::text = pg_current_xact_id()::text';
  await until('it waits', async () => (await rows(waiting)).length > 0);
  await rows('COMMIT');
  t.match(await running, { lost: 1 });
  const reader = createReader(pool, new Changes());
  t.match(await reader.get(uuid(1)), { status: 'FAILED', reason: 'lost', output: 'late', outputBytes: 4 });
  t.same(
    (await reader.transitions(uuid(1)))?.map(({ event }) => event),
    ['admit', 'start', 'process.started', 'lost'],
  );
});

t.test('the path of what is lost goes on behind what was stored of it, and says so', async (t) => {
  const { run, insert, rows, pool } = await setup(t);
  await insert(1, 1234, 'EXECUTING');
  await insert(2, 1234, 'EXECUTING');
  await insert(3, 1234, 'QUEUED');
  await rows(
    `INSERT INTO command_transitions
    SELECT id, 0, '[["start", "executing.starting", 1000], ["process.started", "executing.running", 2000]]'
    FROM commands WHERE command_uuid = $1`,
    [uuid(2)],
  );
  // It was lost before, and runs again.
  await insert(4, 1234, 'EXECUTING');
  await rows('UPDATE commands SET reruns = 1 WHERE command_uuid = $1', [uuid(4)]);
  await rows(
    `INSERT INTO command_transitions
    SELECT id, 0, '[["start", "executing.starting", 1000], ["lost", "queued", 2000]]' FROM commands WHERE command_uuid = $1`,
    [uuid(4)],
  );
  await run();
  const reader = createReader(pool, new Changes());
  const pathOf = async (n: number) => {
    const [path, command] = [await reader.transitions(uuid(n)), await reader.get(uuid(n))];
    return { steps: path?.map(({ from, event, to }) => [from, event, to]), times: path?.map(({ at }) => at), command };
  };
  const first = await pathOf(1);
  t.same(first.steps, [
    [null, 'admit', 'queued'],
    ['queued', 'start', 'executing.starting'],
    ['executing.starting', 'lost', 'failed'],
  ]);
  const { createdAt, startedAt, endedAt } = first.command ?? {};
  t.same(first.times, [createdAt, startedAt, endedAt], 'its server had no time to store a step, but its row tells');
  const second = await pathOf(2);
  t.same(second.steps?.slice(2), [
    ['executing.starting', 'process.started', 'executing.running'],
    ['executing.running', 'lost', 'failed'],
  ]);
  t.equal(second.times?.[1], 1000);
  t.same((await pathOf(3)).steps, [[null, 'admit', 'queued']]);
  const again = await pathOf(4);
  t.same(again.steps?.slice(2), [
    ['executing.starting', 'lost', 'queued'],
    [null, 'admit', 'queued'],
    ['queued', 'start', 'executing.starting'],
    ['executing.starting', 'lost', 'failed'],
  ]);
  t.equal(again.times?.[4], again.command?.startedAt);
});

t.test('a server that is started again is told how many steps are stored', async (t) => {
  const { insert, rows, claim, pool } = await setup(t);
  for (const n of [1, 2]) await insert(n, claim.owner, 'EXECUTING');
  await insert(3, claim.owner, 'QUEUED');
  await rows(
    `INSERT INTO command_transitions
    SELECT id, 0, '[["start", "executing.starting", 1], ["process.started", "executing.running", 2]]'
    FROM commands WHERE command_uuid = $1`,
    [uuid(2)],
  );
  await rows(
    `INSERT INTO command_transitions SELECT id, 2, '[["stop", "executing.terminating", 3]]'
    FROM commands WHERE command_uuid = $1`,
    [uuid(2)],
  );
  const living = new Map([[uuid(2), { stop: null, elapsedMs: 1 }]]);
  const run = () => recover(pool, claim, { living, forget: () => {}, killLeftovers: async () => 0 });
  for (const recovered of [await run(), await run()]) {
    t.match(recovered.living, [{ uuid: uuid(2), steps: 3 }]);
    t.match(recovered.queued, [
      { uuid: uuid(1), steps: 1 },
      { uuid: uuid(3), steps: 0 },
    ]);
  }
});

t.test('what waited there waits here, in its order', async (t) => {
  const { run, insert, rows, claim } = await setup(t);
  await insert(1, 1234, 'QUEUED');
  await insert(2, 5678, 'QUEUED');
  await insert(3, 1234, 'QUEUED');
  const { queued } = await run();
  t.same(
    queued.map((command) => command.uuid),
    [uuid(1), uuid(2), uuid(3)],
  );
  t.same(await rows('SELECT DISTINCT owner FROM commands'), [{ owner: claim.owner }]);
});

t.test('how a command that waited is to be run is still known', async (t) => {
  const { run, insert, rows } = await setup(t);
  await insert(1, 1234, 'QUEUED');
  await rows(`UPDATE commands SET options = '{"timeout_ms": 5, "of_a_newer_server": 1}'`);
  t.match((await run()).queued, [{ uuid: uuid(1), options: { timeoutMs: 5 } }]);
});

t.test('the commands of a server that lives are left alone', async (t) => {
  const { run, insert, rows, url, killed } = await setup(t);
  const other = await Claim.take(url);
  t.teardown(() => other.close());
  await insert(1, other.owner, 'EXECUTING');
  await insert(2, other.owner, 'QUEUED');
  t.match(await run(), { lost: 0, queued: [] });
  t.same(killed, []);
  t.same(await rows('SELECT DISTINCT owner FROM commands'), [{ owner: other.owner }]);
});

t.test('the commands of a server that has lost its connection and wants its lock back are left alone', async (t) => {
  const { run, insert, rows, url, killed } = await setup(t);
  await insert(1, 1234, 'EXECUTING');
  const recovering = run();
  await until('its lock is held by the server that starts', async () => {
    const held = await rows("SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 1234 AND granted");
    return held.length > 0;
  });
  const living = new Client(url);
  await living.connect();
  t.teardown(() => living.end());
  await living.query('SELECT pg_advisory_lock($1, $2)', [0x5e11, 1234]);
  t.match(await recovering, { lost: 0, queued: [] });
  t.same(killed, []);
  t.same(await rows('SELECT owner, status FROM commands'), [{ owner: 1234, status: 'EXECUTING' }]);
});

t.test('the commands of a server whose lock is lost again while it is in doubt are left alone', async (t) => {
  const { run, insert, rows, killed, claim } = await setup(t);
  await insert(1, 1234, 'EXECUTING');
  const recovering = run();
  const holders = () => rows("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 1234 AND granted");
  await until('its lock is held by the server that starts', async () => (await holders()).length > 0);
  const [{ pid }] = await holders();
  await rows('SELECT pg_terminate_backend($1)', [pid]);
  await until('that one has its claim again', () => claim.isHeld());
  t.match(await recovering, { lost: 0, queued: [] });
  t.same(killed, []);
  t.same(await rows('SELECT owner, status FROM commands'), [{ owner: 1234, status: 'EXECUTING' }]);
});

t.test(
  'what a server that is gone still has under way in PostgreSQL is ended before its commands are taken',
  async (t) => {
    const { run, insert, url } = await setup(t);
    await insert(1, 1234, 'EXECUTING');
    const writer = new Client({ connectionString: url, application_name: journalName(1234) });
    writer.on('error', () => {});
    await writer.connect();
    const late = writer.query('SELECT pg_sleep(1000)').catch((error) => error.code);
    t.match(await run(), { lost: 1 });
    t.equal(await late, '57P01');
  },
);

t.test('a server that the network has cut off notices it, and takes its claim again', async (t) => {
  const { url, rows } = await setup(t);
  const network = await breakableNetwork(t, url);
  const claim = await Claim.take(network.url);
  t.teardown(() => claim.close());
  t.ok(await claim.isHeld());
  network.break();
  t.notOk(await claim.isHeld());
  network.mend();
  await until('it is held', () => claim.isHeld());
  const sessions = await rows('SELECT FROM pg_stat_activity WHERE application_name = $1', [
    `shellvisor claim ${claim.owner}`,
  ]);
  t.equal(sessions.length, 1, 'its session of before, of which PostgreSQL did not know that it was cut off, is ended');
});

t.test('a lock that came after nobody waited for it any more is not kept', async (t) => {
  const { url, rows, claim } = await setup(t);
  const [{ pid }] = await rows('SELECT pid FROM pg_stat_activity WHERE application_name = $1', [
    `shellvisor claim ${claim.owner}`,
  ]);
  process.kill(pid, 'SIGSTOP');
  await t.rejects(claim.takeOver(99), { message: /timeout/ });
  process.kill(pid, 'SIGCONT');
  const other = await Claim.take(url);
  t.teardown(() => other.close());
  await until('it is free', () => other.takeOver(99));
  await until('the claim is held again', () => claim.isHeld());
});

t.test('a server whose connection is cut takes its claim again', async (t) => {
  const { url, rows, claim } = await setup(t);
  const held = () =>
    rows("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND granted", [claim.owner]);
  const [{ pid }] = await held();
  await rows('SELECT pg_terminate_backend($1)', [pid]);
  await until('it is held by another connection', async () => {
    const [lock] = await held();
    return lock !== undefined && lock.pid !== pid;
  });
  const other = await Claim.take(url);
  t.teardown(() => other.close());
  t.notOk(await other.takeOver(claim.owner));
});

t.test('who has sent what is taken up or over stays known, and who was stopping what lives', async (t) => {
  const { insert, rows, claim, pool } = await setup(t);
  await insert(1, 1234, 'EXECUTING');
  await insert(2, 1234, 'QUEUED');
  await insert(3, claim.owner, 'EXECUTING');
  await rows("UPDATE commands SET created_by = 'ann'");
  const stop: Stop = { reason: 'stop', by: 'bob' };
  const living = new Map([[uuid(3), { stop, elapsedMs: 1 }]]);
  const recovered = await recover(pool, claim, { living, forget: () => {}, killLeftovers: async () => 0 });
  t.match(recovered, { lost: 1, queued: [{ uuid: uuid(2) }], living: [{ uuid: uuid(3), stop }] });
  const found = await rows('SELECT status, created_by, stopped_by FROM commands ORDER BY command_uuid');
  t.same(
    found,
    ['FAILED', 'QUEUED', 'EXECUTING'].map((status) => ({ status, created_by: 'ann', stopped_by: null })),
  );
});

t.test('very many waiting commands of a server that is gone are taken over too, oldest first', async (t) => {
  const { run, rows } = await setup(t);
  await rows(`
    INSERT INTO commands (command_uuid, script, durable, created_at, owner, status)
    SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'true', true, now(), 1234, 'QUEUED'
    FROM generate_series(1, 2500) n`);
  const { queued } = await run();
  t.same(
    queued.map((command) => command.uuid),
    Array.from({ length: 2500 }, (_, i) => uuid(i + 1)),
  );
});
