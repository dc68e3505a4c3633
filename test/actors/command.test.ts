import t from 'tap';
import { createActor, fromCallback, fromPromise, SimulatedClock, type SnapshotFrom } from 'xstate';
import {
  type CommandEvent,
  type CommandInput,
  commandMachine,
  type StoreInput,
  timerOf,
} from '../../src/actors/command.ts';
import type { ProcessCommand, ProcessInput } from '../../src/actors/process.ts';
import type { ProcessEnd } from '../../src/command.ts';

/** A command actor on simulated time, its process and its store in the hands of the test. */
function simulate(input: Partial<CommandInput> = {}) {
  const clock = new SimulatedClock();
  const commands: ProcessCommand[] = [];
  const signals: string[] = [];
  let released = 0;
  let starts = 0;
  const stores: { input: StoreInput; done: () => void; fail: (error: Error) => void }[] = [];
  const logic = commandMachine.provide({
    actors: {
      process: fromCallback<ProcessCommand, ProcessInput>(({ receive }) => {
        starts++;
        receive((command) => {
          commands.push(command);
          signals.push(command.type);
        });
      }),
      store: fromPromise<void, StoreInput>(
        ({ input }) => new Promise((done, fail) => stores.push({ input, done, fail })),
      ),
    },
    actions: { releaseSlot: () => released++ },
  });
  const actor = createActor(logic, {
    clock,
    input: {
      uuid: 'u',
      durable: false,
      options: {},
      stopGraceMs: 5000,
      shutdownGraceMs: 800,
      timeoutMs: undefined,
      ...input,
    },
  });
  actor.start();
  const send = (...events: CommandEvent[]) => {
    for (const event of events) actor.send(event);
  };
  return {
    actor,
    clock,
    commands,
    signals,
    stores,
    send,
    state: () => actor.getSnapshot().value as SnapshotFrom<typeof commandMachine>['value'],
    released: () => released,
    starts: () => starts,
    /** Commits the outcome and waits for the final state. */
    async commit() {
      stores[0]?.done();
      await Promise.resolve().then(() => {});
      await new Promise(setImmediate);
    },
  };
}

const start: CommandEvent = { type: 'start' };
const started: CommandEvent = { type: 'process.started', pid: 7 };
const stop: CommandEvent = { type: 'stop', reason: 'stop', by: 'ann' };
const overflowed: CommandEvent = { type: 'process.overflowed' };
const kill: CommandEvent = { type: 'kill', reason: 'stop', by: 'bob' };
const shutdown: CommandEvent = { type: 'stop', reason: 'shutdown', by: null };
const ended = (end: ProcessEnd): CommandEvent => ({ type: 'process.ended', end, durationMs: 12 });
const exit0 = ended({ kind: 'exited', exitCode: 0 });
const killed = ended({ kind: 'signalled', signal: 'SIGKILL' });

t.test('a command that ends by itself is executed once its outcome is stored', async (t) => {
  const c = simulate();
  t.equal(c.state(), 'queued');
  c.send(start);
  t.same(c.state(), { executing: 'starting' });
  c.send(started);
  t.same(c.state(), { executing: 'running' });
  t.equal(c.actor.getSnapshot().context.pid, 7);
  c.send(exit0);
  t.equal(c.state(), 'storing');
  t.equal(c.released(), 1, 'the slot is free while the outcome is being stored');
  t.match(c.stores[0]?.input, { uuid: 'u', outcome: { status: 'EXECUTED', exitCode: 0, durationMs: 12 } });
  await c.commit();
  t.equal(c.state(), 'executed');
  t.same(c.actor.getSnapshot().output, { uuid: 'u', status: 'EXECUTED', stored: true });
  t.same(c.signals, []);
});

t.test('a command that exits with another code has failed', async (t) => {
  const c = simulate();
  c.send(start, started, ended({ kind: 'exited', exitCode: 9 }));
  await c.commit();
  t.equal(c.state(), 'failed');
});

t.test('a process that ends before it said that it started is stored all the same', async (t) => {
  const c = simulate();
  c.send(start, ended({ kind: 'spawn_error', message: 'EAGAIN' }));
  t.match(c.stores[0]?.input.outcome, { status: 'FAILED', reason: 'spawn_error', error: 'EAGAIN' });
  await c.commit();
  t.equal(c.state(), 'failed');
});

t.test('a stop of a queued command never starts it', async (t) => {
  const c = simulate();
  c.send(stop, start);
  t.equal(c.state(), 'storing');
  t.equal(c.starts(), 0);
  t.equal(c.released(), 0, 'it held no slot');
  t.match(c.stores[0]?.input.outcome, { status: 'STOPPED', reason: 'stop', exitCode: null, durationMs: null });
  await c.commit();
  t.equal(c.state(), 'stopped');
});

t.test('a stop while the process is starting leads down the ladder', async (t) => {
  const c = simulate();
  c.send(start, stop);
  t.same(c.state(), { executing: 'terminating' });
  t.same(c.signals, ['terminate']);
  c.send(started);
  t.same(c.state(), { executing: 'terminating' }, 'that it started changes nothing any more');
  c.send(ended({ kind: 'not_started' }));
  await c.commit();
  t.equal(c.state(), 'stopped');
});

t.test('a script that ignores SIGTERM is killed after the grace, not before', async (t) => {
  const c = simulate();
  c.send(start, started, stop);
  c.clock.increment(4999);
  t.same(c.signals, ['terminate']);
  t.same(c.state(), { executing: 'terminating' });
  c.clock.increment(1);
  t.same(c.signals, ['terminate', 'kill']);
  t.same(c.state(), { executing: 'killing' });
  c.clock.increment(60_000);
  t.same(c.state(), { executing: 'killing' }, 'it waits for the end of the tree, however long that takes');
  c.send(killed);
  t.match(c.stores[0]?.input.outcome, { status: 'STOPPED', reason: 'stop', signal: 'SIGKILL' });
});

t.test('ten thousand stops run one ladder', async (t) => {
  const c = simulate();
  c.send(start, started);
  for (let i = 0; i < 10_000; i++) c.send(stop);
  c.clock.increment(5000);
  for (let i = 0; i < 10_000; i++) c.send(stop);
  t.same(c.signals, ['terminate', 'kill']);
});

t.test('a second stop does not prolong the grace', async (t) => {
  const c = simulate();
  c.send(start, started, stop);
  c.clock.increment(3000);
  c.send(stop);
  c.clock.increment(2000);
  t.same(c.state(), { executing: 'killing' });
});

t.test('an exit while terminating is a stop, whatever the exit code', async (t) => {
  const c = simulate();
  c.send(start, started, stop, exit0);
  t.match(c.stores[0]?.input.outcome, { status: 'STOPPED', reason: 'stop', exitCode: 0 });
  c.clock.increment(60_000);
  t.same(c.signals, ['terminate'], 'the ladder ends with the process');
});

t.test('a stop that comes behind the exit changes nothing', async (t) => {
  const c = simulate();
  c.send(start, started, exit0, stop);
  t.equal(c.state(), 'storing');
  t.same(c.signals, []);
  await c.commit();
  t.equal(c.state(), 'executed');
  c.send(stop);
  t.equal(c.state(), 'executed');
});

t.test('a timeout leads down the ladder and is a failure', async (t) => {
  const c = simulate({ timeoutMs: 1000 });
  c.send(start);
  c.clock.increment(10_000);
  t.same(c.state(), { executing: 'starting' }, 'the time runs from the start of bash');
  c.send(started);
  c.clock.increment(999);
  t.same(c.state(), { executing: 'running' });
  c.clock.increment(1);
  t.same(c.state(), { executing: 'terminating' });
  c.clock.increment(5000);
  c.send(killed);
  t.match(c.stores[0]?.input.outcome, { status: 'FAILED', reason: 'timeout', signal: 'SIGKILL' });
});

t.test('without a timeout a command may run for ever', async (t) => {
  const c = simulate();
  c.send(start, started);
  c.clock.increment(10 * 365 * 24 * 3600 * 1000);
  t.same(c.state(), { executing: 'running' });
});

t.test('timeout and stop together: the first one says why it ended', async (t) => {
  const timeoutFirst = simulate({ timeoutMs: 1000 });
  timeoutFirst.send(start, started);
  timeoutFirst.clock.increment(1000);
  timeoutFirst.send(stop, killed);
  t.match(timeoutFirst.stores[0]?.input.outcome, { status: 'FAILED', reason: 'timeout' });
  t.same(timeoutFirst.signals, ['terminate']);

  const stopFirst = simulate({ timeoutMs: 1000 });
  stopFirst.send(start, started);
  stopFirst.clock.increment(999);
  stopFirst.send(stop);
  stopFirst.clock.increment(1);
  stopFirst.send(killed);
  t.match(stopFirst.stores[0]?.input.outcome, { status: 'STOPPED', reason: 'stop' });
  t.same(stopFirst.signals, ['terminate']);
});

t.test('a command that prints more than it may is ended, at any time, and has failed', async (t) => {
  for (const before of [
    [start],
    [start, started],
    [{ type: 'resume', stored: { upTo: 7, base: 0, limit: { headBytes: 10, tailBytes: 10 } }, elapsedMs: 1 }],
  ]) {
    const c = simulate();
    c.send(...(before as CommandEvent[]), overflowed, stop, overflowed);
    t.same(c.state(), { executing: 'terminating' });
    t.same(c.signals, ['terminate']);
    c.clock.increment(5000);
    t.same(c.signals, ['terminate', 'kill']);
    c.send(exit0);
    t.match(c.stores[0]?.input.outcome, { status: 'FAILED', reason: 'output_limit', exitCode: 0 });
  }
});

t.test('a shutdown has a grace of its own', async (t) => {
  const c = simulate();
  c.send(start, started, shutdown);
  c.clock.increment(800);
  t.same(c.signals, ['terminate', 'kill']);
  c.send(killed);
  t.match(c.stores[0]?.input.outcome, { status: 'STOPPED', reason: 'shutdown' });
});

t.test('an outcome that can not be stored is told as such', async (t) => {
  const c = simulate();
  c.send(start, started, exit0);
  c.stores[0]?.fail(new Error('refused'));
  await new Promise(setImmediate);
  t.equal(c.state(), 'failed');
  t.equal(c.actor.getSnapshot().output?.stored, false);
});

t.test('a command whose script outlived the server is followed again, and shows so', async (t) => {
  const c = simulate({ timeoutMs: 1000 });
  c.send({ type: 'resume', stored: { upTo: 7, base: 0, limit: { headBytes: 10, tailBytes: 10 } }, elapsedMs: 400 });
  t.same(c.state(), { executing: 'attaching' });
  c.send(started);
  t.same(c.state(), { executing: 'running' });
  c.clock.increment(599);
  t.same(c.state(), { executing: 'running' });
  c.clock.increment(1);
  t.same(c.state(), { executing: 'terminating' }, 'the time it may run goes on from where it was');
  c.send(killed);
  t.match(c.stores[0]?.input.outcome, { status: 'FAILED', reason: 'timeout' });
});

t.test('a stop that a crash of the server cut off goes on', async (t) => {
  const c = simulate();
  c.send({ type: 'resume', stored: { upTo: 0, base: 0, limit: { headBytes: 10, tailBytes: 10 } }, elapsedMs: 0 }, stop);
  t.same(c.state(), { executing: 'terminating' });
  c.send(started, killed);
  t.match(c.stores[0]?.input.outcome, { status: 'STOPPED', reason: 'stop' });
});

t.test('a command whose owner is gone is lost, even if it was being stopped', async (t) => {
  const c = simulate();
  c.send(start, started, stop, ended({ kind: 'lost' }));
  t.match(c.stores[0]?.input.outcome, { status: 'FAILED', reason: 'lost', exitCode: null });
});

t.test('who asked for the stop first is kept, whoever asks later', async (t) => {
  const byBob: CommandEvent = { type: 'stop', reason: 'stop', by: 'bob' };
  const cases: [CommandEvent[], string | null][] = [
    [[stop], 'ann'],
    [[start, started, stop, byBob, shutdown, exit0], 'ann'],
    [[start, started, shutdown, stop, exit0], null],
    [[start, started, overflowed, stop, killed], null],
    [
      [
        { type: 'resume', stored: { upTo: 0, base: 0, limit: { headBytes: 1, tailBytes: 1 } }, elapsedMs: 1 },
        stop,
        killed,
      ],
      'ann',
    ],
  ];
  for (const [events, name] of cases) {
    const c = simulate();
    c.send(...events);
    t.equal(c.stores[0]?.input.outcome.stoppedBy, name, JSON.stringify(events));
  }
});

t.test('a process that is asked to end is told who wants that', async (t) => {
  const c = simulate();
  c.send(start, started, stop);
  t.match(c.commands, [{ type: 'terminate', stop: { reason: 'stop', by: 'ann' } }]);
});

t.test('a kill ends what runs without SIGTERM, and what waits like a stop', async (t) => {
  const resume: CommandEvent = {
    type: 'resume',
    stored: { upTo: 0, base: 0, limit: { headBytes: 1, tailBytes: 1 } },
    elapsedMs: 1,
  };
  for (const before of [[start], [start, started], [resume], [resume, started]]) {
    const c = simulate();
    c.send(...before, kill, kill, stop, overflowed);
    t.same(c.state(), { executing: 'killing' });
    t.same(c.commands, [{ type: 'kill', stop: { reason: 'stop', by: 'bob' } }]);
    c.send(killed);
    t.match(c.stores[0]?.input.outcome, { status: 'STOPPED', reason: 'stop', stoppedBy: 'bob' });
  }
  const waiting = simulate();
  waiting.send(kill, start);
  t.equal(waiting.starts(), 0);
  t.match(waiting.stores[0]?.input.outcome, { status: 'STOPPED', reason: 'stop', stoppedBy: 'bob' });
});

t.test('a kill cuts the grace short, whatever that is for, and changes nothing else', async (t) => {
  const cases: [begin: (c: ReturnType<typeof simulate>) => void, outcome: object][] = [
    [(c) => c.send(stop), { status: 'STOPPED', reason: 'stop', stoppedBy: 'ann' }],
    [(c) => c.send(shutdown), { status: 'STOPPED', reason: 'shutdown', stoppedBy: null }],
    [(c) => c.send(overflowed), { status: 'FAILED', reason: 'output_limit', stoppedBy: null }],
    [(c) => c.clock.increment(9000), { status: 'FAILED', reason: 'timeout', stoppedBy: null }],
  ];
  for (const [begin, outcome] of cases) {
    const c = simulate({ timeoutMs: 9000 });
    c.send(start, started);
    begin(c);
    t.same(c.state(), { executing: 'terminating' });
    c.clock.increment(100);
    c.send(kill, kill);
    t.same(c.state(), { executing: 'killing' });
    c.clock.increment(60_000);
    t.same(c.signals, ['terminate', 'kill'], 'once, also when the grace would be over');
    c.send(killed, kill);
    t.match(c.stores[0]?.input.outcome, outcome);
  }
});

t.test('a kill that comes behind the exit changes nothing', async (t) => {
  const c = simulate();
  c.send(start, started, exit0, kill);
  t.equal(c.state(), 'storing');
  t.same(c.signals, []);
  await c.commit();
  c.send(kill);
  t.equal(c.state(), 'executed');
});

t.test('of a grace that a server before has begun only the rest is left', async (t) => {
  const c = simulate();
  c.send({ type: 'resume', stored: { upTo: 0, base: 0, limit: { headBytes: 1, tailBytes: 1 } }, elapsedMs: 1 });
  c.send({ ...stop, graceMs: 1200 });
  t.match(c.commands, [{ type: 'terminate', graceMs: 1200 }]);
  c.clock.increment(1199);
  t.same(c.state(), { executing: 'terminating' });
  c.clock.increment(1);
  t.same(c.state(), { executing: 'killing' });
});

t.test('it is known how long a state lasts that a timer ends', async (t) => {
  const c = simulate({ timeoutMs: 9000 });
  const timer = () => timerOf(c.actor.getSnapshot());
  t.equal(timer(), undefined);
  c.send(start);
  t.equal(timer(), undefined, 'the time runs from the start of bash');
  c.send(started);
  t.equal(timer(), 9000);
  c.send(stop);
  t.equal(timer(), 5000);
  c.send(kill);
  t.equal(timer(), undefined);
  const other = simulate();
  other.send(start, started);
  t.equal(timerOf(other.actor.getSnapshot()), undefined, 'it may run for ever');
  other.send(shutdown);
  t.equal(timerOf(other.actor.getSnapshot()), 800);
});

t.test('what is lost runs again where its client wants that, unless somebody has stopped it', (t) => {
  const lost: CommandEvent = { type: 'process.ended', end: { kind: 'lost' }, durationMs: null };
  const shutdown: CommandEvent = { type: 'stop', reason: 'shutdown', by: null };
  const runsAgain = (rerunWhenLost: boolean, ...events: CommandEvent[]) => {
    const { send, stores } = simulate({ options: { rerunWhenLost } });
    send(start, started, ...events, lost);
    return stores[0]?.input.runsAgain;
  };
  t.equal(runsAgain(true), true);
  t.equal(runsAgain(true, shutdown), true, 'its server ends since the launcher is gone');
  t.equal(runsAgain(true, stop), false, 'who has stopped it was told that it has ended');
  t.equal(runsAgain(false), false);
  t.end();
});
