import { createHash, randomBytes } from 'node:crypto';
import { sql } from 'slonik';
import t from 'tap';
import { type Outcome, outputLimitOf, type Transition } from '../../src/command.ts';
import { DeletionInDoubt, StorageUnavailable } from '../../src/errors.ts';
import type { BatchJournal } from '../../src/persistence/journal.ts';
import { WINDOW_BYTES } from '../../src/persistence/output-buffer.ts';
import { clockOffset } from '../../src/persistence/sql/clock.ts';
import { beginCommands, insertCommands } from '../../src/persistence/sql/commands.ts';
import { loseExecuting } from '../../src/persistence/sql/owners.ts';
import { storeProgress } from '../../src/persistence/sql/progress.ts';
import { appendTransitions } from '../../src/persistence/sql/transitions.ts';
import { newCommand } from '../helpers/database.ts';
import { journalFor, OWNER } from '../helpers/journal.ts';
import { until } from '../helpers/until.ts';

const executed: Outcome = {
  status: 'EXECUTED',
  reason: 'exit',
  exitCode: 0,
  signal: null,
  error: null,
  durationMs: 1.5,
  stoppedBy: null,
};

/** Stores a command and marks it as executing. */
async function begin(journal: BatchJournal, fields: Parameters<typeof newCommand>[0] = {}) {
  const command = newCommand(fields);
  await journal.insert(command);
  await journal.begin(command.uuid, new Date());
  return { ...command, output: journal.openOutput(command.uuid, command.durable) };
}

t.test('a command is stored step by step, and reads so', async (t) => {
  const { journal, reader } = await journalFor(t);
  const inputs = { env: { A: 'ü' }, args: ['a b'], cwd: '/tmp' };
  const command = newCommand({ description: 'größe', script: 'echo $1', inputs, labels: { team: 'web' } });
  await journal.insert(command);
  const { secretNames, createdAt, forAnyNode, ...shown } = command;
  t.match(await reader.get(command.uuid), { ...shown, createdAt: +createdAt, status: 'QUEUED', output: '' });
  t.match(await journal.begin(command.uuid, new Date(5000)), { script: 'echo $1', inputs, secretNames });
  t.match(await reader.get(command.uuid), { status: 'EXECUTING', startedAt: 5000, endedAt: null });
  const output = journal.openOutput(command.uuid, false);
  output.write('stdout', Buffer.from('a\n'));
  output.write('stderr', Buffer.from('b\n'));
  await journal.finish(command.uuid, executed, new Date(6000));
  t.match(await reader.get(command.uuid), {
    status: 'EXECUTED',
    output: 'a\nb\n',
    outputBytes: 4,
    outputPreview: false,
    exitCode: 0,
    reason: 'exit',
    endedAt: 6000,
    durationMs: 1.5,
  });
  t.ok(await journal.remove(command.uuid));
  t.equal(await reader.get(command.uuid), null);
  t.notOk(await journal.remove(command.uuid));
});

t.test('each chunk is stored with its stream, and goes with its command', async (t) => {
  const { journal, rows } = await journalFor(t);
  const { uuid, output } = await begin(journal);
  output.write('stdout', Buffer.from('out'));
  output.write('stderr', Buffer.from('err'));
  output.write('stdout', Buffer.from('more'));
  await journal.finish(uuid, executed, new Date());
  t.same(
    (await rows('SELECT byte_offset::int AS at, stream, data FROM command_output ORDER BY 1')).map((r) => ({
      ...r,
      data: r.data.toString(),
    })),
    [
      { at: 0, stream: 1, data: 'out' },
      { at: 3, stream: 2, data: 'err' },
      { at: 6, stream: 1, data: 'more' },
    ],
  );
  await journal.remove(uuid);
  t.same(await rows('SELECT * FROM command_output'), []);
});

t.test('the output of a durable command shows while it runs', async (t) => {
  const { journal, reader } = await journalFor(t);
  const { uuid, output } = await begin(journal, { durable: true });
  output.write('stdout', Buffer.from('first '));
  await until('it shows', async () => (await reader.get(uuid))?.output === 'first ');
  output.write('stdout', Buffer.from('second'));
  const shown = await until('the rest shows', async () => {
    const command = await reader.get(uuid);
    return command?.output === 'first second' && command;
  });
  t.match(shown, { status: 'EXECUTING', outputBytes: 12 });
});

t.test('the output of a regular command shows when it ends, and costs no write before', async (t) => {
  const { journal, reader, queries } = await journalFor(t);
  const { uuid, output } = await begin(journal);
  const before = queries();
  output.write('stdout', Buffer.alloc(WINDOW_BYTES - 1000, 'x'));
  await journal.idle();
  t.equal(queries(), before);
  output.write('stdout', Buffer.alloc(1000, 'y'));
  await journal.idle();
  t.equal(queries(), before + 1, 'one write a MiB');
  t.match(await reader.get(uuid), { output: '', outputBytes: 0, status: 'EXECUTING' });
  await journal.finish(uuid, executed, new Date());
  t.match(await reader.get(uuid), { outputBytes: WINDOW_BYTES, status: 'EXECUTED' });
});

t.test('many commands share few transactions', async (t) => {
  const { journal, queries, rows } = await journalFor(t);
  const commands = Array.from({ length: 500 }, () => newCommand());
  await Promise.all(commands.map((command) => journal.insert(command)));
  t.ok(queries() <= 3, `${queries()} queries`);
  const stored = await rows('SELECT command_uuid FROM commands ORDER BY id');
  t.same(
    stored.map((row) => row.command_uuid),
    commands.map(({ uuid }) => uuid),
    'in the order in which they came',
  );
});

t.test('no command shows as ended before all of its output is there', async (t) => {
  const { journal, reader, pool } = await journalFor(t);
  const { uuid, output } = await begin(journal, { durable: true });
  const total = 20 * 1024 * 1024;
  let ended = false;
  const watch = (async () => {
    while (!ended) {
      const seen = await pool.anyFirst(sql.unsafe`
        SELECT (SELECT sum(octet_length(data)) FROM command_output o WHERE o.command_id = c.id)::int8
        FROM commands c WHERE command_uuid = ${uuid} AND status = 'EXECUTED'`);
      if (seen.length > 0) return seen[0];
    }
    return null;
  })();
  for (let i = 0; i < 20; i++) output.write('stdout', randomBytes(1024 * 1024));
  await journal.finish(uuid, executed, new Date());
  t.equal(await watch, total);
  ended = true;
  t.equal((await reader.get(uuid))?.outputBytes, total);
});

t.test('bytes of any kind are stored as they are', async (t) => {
  const { journal, rows } = await journalFor(t);
  const { uuid, output } = await begin(journal, { durable: true });
  const hash = createHash('sha256');
  for (let i = 0; i < 300; i++) {
    const bytes = randomBytes(1 + ((i * 7919) % 9000));
    hash.update(bytes);
    output.write(i % 3 === 0 ? 'stderr' : 'stdout', bytes);
  }
  await journal.finish(uuid, executed, new Date());
  const [{ sha }] = await rows(
    "SELECT encode(sha256(string_agg(data, ''::bytea ORDER BY byte_offset)), 'hex') AS sha FROM command_output",
  );
  t.equal(sha, hash.digest('hex'));
});

t.test('a batch whose commit is in doubt is sent again, with the effect of once', async (t) => {
  const { journal, reader, rows, retries, failAfterCommit } = await journalFor(t);
  const lost = Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' });
  failAfterCommit(2, lost);
  const { uuid, output } = await begin(journal, { script: 'echo once' });
  t.equal(retries.length, 2);
  failAfterCommit(2, lost);
  output.write('stdout', Buffer.from('once'));
  await journal.finish(uuid, executed, new Date());
  t.equal(retries.length, 4);
  t.match(await reader.get(uuid), { status: 'EXECUTED', output: 'once', outputBytes: 4, script: 'echo once' });
  t.equal((await rows('SELECT * FROM commands')).length, 1);
});

t.test('an entry that the database refuses for good does not spoil its batch', async (t) => {
  const { journal, reader } = await journalFor(t);
  const good = newCommand();
  const bad = newCommand({ script: 'NUL: \0' });
  const results = await Promise.allSettled([journal.insert(good), journal.insert(bad), journal.insert(newCommand())]);
  t.same(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  t.equal((await reader.get(good.uuid))?.status, 'QUEUED');
  t.equal(await reader.get(bad.uuid), null);
});

t.test('a command that belongs to another server is neither begun nor finished', async (t) => {
  const { journal, reader, rows } = await journalFor(t);
  const { uuid } = await begin(journal);
  await rows('UPDATE commands SET owner = 8');
  t.equal(await journal.begin(uuid, new Date()), null);
  await journal.finish(uuid, executed, new Date());
  t.equal((await reader.get(uuid))?.status, 'EXECUTING');
});

t.test('a command that runs again keeps the limit of its output that its first run had', async (t) => {
  const limit = { headBytes: 4, tailBytes: 2 };
  const { journal, reader, pool, rows } = await journalFor(t, { outputLimit: limit });
  const createdAt = new Date();
  const { uuid, output } = await begin(journal, { durable: true, createdAt, options: { rerunWhenLost: true } });
  output.write('stdout', Buffer.from('abcdefghij'));
  await until('its output is stored', async () => (await reader.get(uuid))?.output.length);
  await loseExecuting(pool, OWNER, OWNER);
  const [stored] = await rows('SELECT output_base FROM commands');
  const base = Number(stored.output_base);
  // As another server would, which keeps more.
  const again = await beginCommands(pool, OWNER, [{ uuid, startedAt: new Date() }], outputLimitOf(2 ** 20), 'n2');
  t.match(again.get(uuid), { output: { upTo: base, base, limit }, waitsSince: null });
  t.match(await rows('SELECT output_head, output_tail, node FROM commands'), [
    { output_head: '4', output_tail: '2', node: 'n2' },
  ]);
});

t.test('who begins a command is told since when it has waited', async (t) => {
  const { journal } = await journalFor(t);
  const command = newCommand({ createdAt: new Date(Date.now() - 60_000) });
  await journal.insert(command);
  t.match(await journal.begin(command.uuid, new Date()), { waitsSince: +command.createdAt });
});

t.test('an outcome once stored stays', async (t) => {
  const { journal, reader } = await journalFor(t);
  const { uuid } = await begin(journal);
  await journal.finish(uuid, executed, new Date());
  await journal.finish(uuid, { ...executed, status: 'STOPPED', reason: 'stop' }, new Date());
  t.equal((await reader.get(uuid))?.status, 'EXECUTED');
});

const told = (percent: number, text = '') => ({ percent, text });

t.test(
  'of the progress that comes together the latest is stored, and it stays when the command has ended',
  async (t) => {
    const { journal, reader, queries } = await journalFor(t);
    const { uuid } = await begin(journal);
    const other = await begin(journal);
    t.equal((await reader.get(uuid))?.progress, null);
    const before = queries();
    for (const percent of [1, 2, 3]) journal.progress(uuid, told(percent));
    journal.progress(other.uuid, told(50, 'größe'));
    await journal.idle();
    t.equal(queries() - before, 1, 'all in one statement');
    t.same((await reader.get(uuid))?.progress, told(3));
    t.same((await reader.get(other.uuid))?.progress, told(50, 'größe'));
    journal.progress(uuid, told(99.5, 'nearly'));
    await journal.finish(uuid, executed, new Date());
    t.match(await reader.get(uuid), { status: 'EXECUTED', progress: told(99.5, 'nearly') });
  },
);

t.test('progress never comes after the outcome, nor from a server that does not own the command', async (t) => {
  const { journal, reader, pool } = await journalFor(t);
  const { uuid } = await begin(journal);
  const store = (owner: number) => storeProgress(pool, owner, [{ uuid, progress: told(1), isTold: true }]);
  await store(OWNER + 1);
  t.equal((await reader.get(uuid))?.progress, null);
  await journal.finish(uuid, executed, new Date());
  await store(OWNER);
  journal.progress(uuid, told(2));
  await journal.idle();
  t.equal((await reader.get(uuid))?.progress, null);
});

t.test('those who follow all commands hear of progress once a second at most, and of the last at once', async (t) => {
  const { journal, rows, failAfterCommit } = await journalFor(t);
  const events = async (uuid: string) =>
    (await rows('SELECT status, progress FROM command_events WHERE command_uuid = $1 ORDER BY seq', [uuid])).map(
      ({ status, progress }) => progress?.percent ?? status,
    );
  const { uuid } = await begin(journal);
  const began = performance.now();
  // Committed, but the answer got lost: the same batch comes again.
  failAfterCommit(1, Object.assign(new Error('lost'), { code: 'ECONNRESET' }));
  for (let percent = 1; percent <= 20; percent++) {
    journal.progress(uuid, told(percent));
    await journal.idle();
  }
  await journal.finish(uuid, executed, new Date());
  const seconds = (performance.now() - began) / 1000;
  const found = await events(uuid);
  t.same(found.slice(0, 3), ['QUEUED', 'EXECUTING', 1]);
  t.same(found.slice(-2), [20, 'EXECUTED'], 'the last before the end');
  t.ok(found.length <= 5 + seconds, `${found} in ${seconds} s`);

  const silent = await begin(journal);
  journal.progress(silent.uuid, told(1));
  await journal.idle();
  journal.progress(silent.uuid, told(2));
  t.same(
    await until('it is told when the second is over', async () => {
      const found = await events(silent.uuid);
      return found.length > 3 && found;
    }),
    ['QUEUED', 'EXECUTING', 1, 2],
  );
  await journal.finish(silent.uuid, executed, new Date());
  t.same(await events(silent.uuid), ['QUEUED', 'EXECUTING', 1, 2, 'EXECUTED'], 'nothing is told twice');
});

t.test('many loud commands together pause at the bound of memory, and all of it is stored', async (t) => {
  const { journal, rows } = await journalFor(t);
  const commands = await Promise.all(Array.from({ length: 100 }, () => begin(journal)));
  const chunk = Buffer.alloc(900 * 1024, 'x');
  let refused = 0;
  const writers = commands.map(async ({ uuid, output }) => {
    for (let i = 0; i < 2; i++) {
      if (output.write('stdout', chunk)) continue;
      refused++;
      await new Promise<void>((resolve) => {
        output.onDrain = resolve;
      });
    }
    await journal.finish(uuid, executed, new Date());
  });
  await Promise.all(writers);
  t.ok(refused > 0);
  const [{ sum }] = await rows('SELECT sum(octet_length(data))::int8::text FROM command_output');
  t.equal(Number(sum), 2 * 100 * chunk.length);
});

t.test('a new command that reaches the database after its client has given up is not stored', async (t) => {
  const { rows, pool } = await journalFor(t);
  const late = { command: newCommand(), deadline: Date.now() - 1 };
  const inTime = { command: newCommand(), deadline: Date.now() + 60_000 };
  const { stored } = await insertCommands(pool, OWNER, [late, inTime]);
  t.same([...stored], [inTime.command.uuid]);
  t.same(await rows('SELECT command_uuid FROM commands'), [{ command_uuid: inTime.command.uuid }]);
});

t.test('a clock that is set while the server runs costs no command', async (t) => {
  const { journal, rows, pool } = await journalFor(t, { clockOffsetMs: -60_000 });
  await Promise.all([journal.insert(newCommand()), journal.insert(newCommand())]);
  await journal.insert(newCommand());
  t.equal((await rows('SELECT * FROM commands')).length, 3);
  t.ok(Math.abs(await clockOffset(pool)) < 1000, 'the clocks of one machine agree');
});

t.test('a new command that is not committed in time is refused, and is then not there', async (t) => {
  const { journal, rows, failAfterCommit } = await journalFor(t, { failingDeletions: 2 });
  // Committed each time, but the answer never arrives: the journal keeps trying past the client's patience.
  failAfterCommit(Number.POSITIVE_INFINITY, Object.assign(new Error('lost'), { code: 'ECONNRESET' }));
  const refusal = journal.insert(newCommand());
  await t.rejects(refusal, new StorageUnavailable());
  failAfterCommit(0, new Error('never'));
  await journal.idle();
  t.same(await rows('SELECT * FROM commands'), [], 'deleted, although that failed at first');
});

t.test('a deletion that fails may have taken place, and its client is told so', async (t) => {
  const { journal } = await journalFor(t, { failingDeletions: 1 });
  await t.rejects(journal.remove(newCommand().uuid), new DeletionInDoubt());
  t.notOk(await journal.remove(newCommand().uuid));
});

const step = (from: string | null, event: string, to: string, at: number): Transition => ({ from, event, to, at });
const started = step('queued', 'start', 'executing.starting', 1);
const running = step('executing.starting', 'process.started', 'executing.running', 2);
const storing = step('executing.running', 'process.ended', 'storing', 3);
const stored = (at: number) => step('storing', 'store is done', 'executed', at);
/** Rows of steps, in short. */
const RUNS = 'SELECT first_step, json_array_length(steps) AS steps FROM command_transitions ORDER BY 1';

t.test('the steps of a short command are stored with its outcome, in one row and one statement', async (t) => {
  const { journal, reader, rows, queries } = await journalFor(t);
  const { uuid, createdAt } = await begin(journal);
  const admitted = step(null, 'admit', 'queued', +createdAt);
  t.same(await reader.transitions(uuid), [admitted]);
  const before = queries();
  for (const each of [started, running, storing]) journal.transition(uuid, each);
  await journal.finish(uuid, executed, new Date(9));
  t.equal(queries(), before + 1);
  t.same(await reader.transitions(uuid), [admitted, started, running, storing, stored(9)]);
  t.same(await rows(RUNS), [{ first_step: 0, steps: 4 }]);
  t.equal(await reader.transitions(newCommand().uuid), null);
});

t.test('the steps of a command that runs longer are stored by themselves, and the last ones at its end', async (t) => {
  const { journal, reader, rows } = await journalFor(t);
  const { uuid } = await begin(journal);
  journal.transition(uuid, started);
  await until('the first shows', async () => (await reader.transitions(uuid))?.length === 2);
  journal.transition(uuid, running);
  await journal.finish(uuid, executed, new Date(9));
  const last = { ...stored(9), from: 'executing.running' };
  t.same((await reader.transitions(uuid))?.slice(1), [started, running, last]);
  t.same(await rows(RUNS), [
    { first_step: 0, steps: 1 },
    { first_step: 1, steps: 2 },
  ]);
});

t.test('who follows a command is woken when steps of it are stored without its outcome', async (t) => {
  const { journal, changes } = await journalFor(t);
  const { uuid } = await begin(journal);
  const told: string[] = [];
  changes.tell = (what) => told.push(what);
  journal.transition(uuid, started);
  await journal.idle();
  t.same(told, [uuid]);
});

t.test('a batch of others takes no steps along that have not waited', async (t) => {
  const { journal, reader } = await journalFor(t);
  await until('one is committed soon enough', async () => {
    const [long, short] = [await begin(journal), await begin(journal)];
    const since = performance.now();
    journal.transition(long.uuid, started);
    await journal.finish(short.uuid, executed, new Date(9));
    const shown = await reader.transitions(long.uuid);
    // On a busy machine they may have waited long enough by now.
    if (performance.now() - since > 90) return false;
    t.equal(shown?.length, 1);
    return true;
  });
});

t.test('steps whose commit is in doubt are sent again, with the effect of once', async (t) => {
  const { journal, reader, rows, retries, refused, failAfterCommit } = await journalFor(t);
  const { uuid } = await begin(journal);
  const lost = Object.assign(new Error('lost'), { code: 'ECONNRESET' });
  failAfterCommit(2, lost);
  journal.transition(uuid, started);
  journal.transition(uuid, running);
  await journal.idle();
  t.equal(retries.length, 2);
  failAfterCommit(2, lost);
  journal.transition(uuid, storing);
  await journal.finish(uuid, executed, new Date(9));
  t.equal(retries.length, 4);
  t.same((await reader.transitions(uuid))?.slice(1), [started, running, storing, stored(9)]);
  t.same(await rows(RUNS), [
    { first_step: 0, steps: 2 },
    { first_step: 2, steps: 2 },
  ]);
  t.same(refused, []);
});

t.test('the steps of a command go on behind those that a server before has stored', async (t) => {
  const { journal, reader, rows } = await journalFor(t);
  const { uuid } = await begin(journal);
  journal.transition(uuid, started);
  await journal.idle();
  // What another journal of the same server would do.
  journal.resumeTransitions([{ uuid, steps: 1 }]);
  const begins = step(null, 'readmit', 'queued', 5);
  const resumed = step('queued', 'resume', 'executing.attaching', 6);
  journal.transition(uuid, begins);
  journal.transition(uuid, resumed);
  await journal.finish(uuid, executed, new Date(9));
  t.same((await reader.transitions(uuid))?.slice(1, 4), [started, begins, resumed]);
  t.same(await rows(RUNS), [
    { first_step: 0, steps: 1 },
    { first_step: 1, steps: 3 },
  ]);
});

t.test('a command that waits on under another server has taken no step by that', async (t) => {
  const { journal, reader, rows } = await journalFor(t);
  const command = newCommand();
  await journal.insert(command);
  journal.resumeTransitions([{ uuid: command.uuid, steps: 0 }]);
  journal.transition(command.uuid, step(null, 'admit', 'queued', 5));
  await journal.idle();
  t.same(await rows(RUNS), []);
  await journal.begin(command.uuid, new Date());
  journal.transition(command.uuid, started);
  await journal.finish(command.uuid, executed, new Date(9));
  t.same((await reader.transitions(command.uuid))?.slice(0, 2), [
    step(null, 'admit', 'queued', +command.createdAt),
    started,
  ]);
  t.same(await rows(RUNS), [{ first_step: 0, steps: 2 }]);
});

t.test('no steps are stored of a command that has an outcome already, or another server', async (t) => {
  const { journal, reader, rows } = await journalFor(t);
  const ended = await begin(journal);
  await journal.finish(ended.uuid, executed, new Date(9));
  const path = await reader.transitions(ended.uuid);
  journal.transition(ended.uuid, started);
  await journal.idle();
  journal.transition(ended.uuid, storing);
  await journal.finish(ended.uuid, { ...executed, status: 'STOPPED', reason: 'stop' }, new Date());
  t.same(await reader.transitions(ended.uuid), path);

  for (const elsewhere of ['owner = 8', "status = 'FAILED', reason = 'lost', ended_at = now()"]) {
    const { uuid } = await begin(journal);
    await rows(`UPDATE commands SET ${elsewhere} WHERE command_uuid = $1`, [uuid]);
    journal.transition(uuid, started);
    await journal.idle();
    journal.transition(uuid, storing);
    await journal.finish(uuid, executed, new Date());
    t.equal((await reader.transitions(uuid))?.length, 1, elsewhere);
  }
});

t.test('where the database refuses an outcome for good, the steps to it are stored all the same', async (t) => {
  const { journal, reader } = await journalFor(t);
  const { uuid } = await begin(journal);
  for (const each of [started, running, storing]) journal.transition(uuid, each);
  await t.rejects(journal.finish(uuid, { ...executed, exitCode: 1e6 }, new Date(9)), { code: '22003' });
  const failed = step('storing', 'store failed', 'failed', 10);
  journal.transition(uuid, failed);
  await journal.idle();
  t.same((await reader.transitions(uuid))?.slice(1), [started, running, storing, failed]);
  t.equal((await reader.get(uuid))?.status, 'EXECUTING');
});

t.test('no steps are left of commands that are deleted, whoever does it and when', async (t) => {
  const { journal, rows, pool } = await journalFor(t);
  const [first, second, third] = [await begin(journal), await begin(journal), await begin(journal)];
  for (const { uuid } of [first, second, third]) {
    journal.transition(uuid, started);
    journal.transition(uuid, running);
  }
  await journal.idle();
  t.equal((await rows(RUNS)).length, 3);
  await journal.finish(first.uuid, executed, new Date());
  await journal.remove(first.uuid);
  t.equal((await rows(RUNS)).length, 2);
  // A deletion does not see what is not committed yet.
  const [{ pid }] = await rows('SELECT pg_backend_pid() AS pid');
  let deletion: Promise<unknown> | undefined;
  await pool.transaction(async (db) => {
    await appendTransitions(db, OWNER, [{ uuid: third.uuid, first: 2, steps: [storing] }]);
    deletion = rows('DELETE FROM commands');
    const waiting = sql.unsafe`SELECT 1 FROM pg_locks WHERE pid = ${pid} AND NOT granted`;
    await until('it waits', async () => (await db.anyFirst(waiting)).length > 0);
  });
  await deletion;
  t.same(await rows(RUNS), []);
});
