import t from 'tap';
import { type CommanderOptions, createCommandSystem } from '../../src/actors/commander.ts';
import type { CommandRequest, Outcome, TerminalStatus } from '../../src/command.ts';
import {
  CommandEnded,
  CommandNotFound,
  Draining,
  FolderRefused,
  OptionUnsupported,
  QueueFull,
  StorageUnavailable,
} from '../../src/errors.ts';
import type { SharedQueue } from '../../src/ports/nodes.ts';
import { FakeJournal, FakeRunner, request } from '../helpers/fakes.ts';
import { until } from '../helpers/until.ts';

const MIB = 1024 * 1024;

function system(options: Partial<CommanderOptions> = {}) {
  const journal = new FakeJournal();
  const runner = new FakeRunner();
  const errors: string[] = [];
  const whole = createCommandSystem({
    journal,
    reader: journal,
    runner,
    maxParallel: 2,
    maxQueued: 10,
    // Some tests leave a stop under way, and the file ends when it is over.
    stopGraceMs: 5000,
    shutdownGraceMs: 5000,
    timeoutMs: undefined,
    maxTimeoutMs: undefined,
    onError: (message) => errors.push(message),
    ...options,
  });
  const running = (uuid: string) => until(`${uuid} runs`, () => runner.processes.get(uuid));
  /** Most tests want to know only the uuid, and ask as nobody. */
  const commander = {
    ...whole,
    submit: async (asked: CommandRequest) => (await whole.submit(asked, null)).uuid,
    stop: (uuid: string) => whole.stop(uuid, null),
    remove: (uuid: string) => whole.remove(uuid, null),
  };
  return { journal, runner, whole, commander, errors, running };
}

t.test('commands start in the order in which they came, as slots are free', async (t) => {
  const { commander, runner, running } = system();
  const uuids = [];
  for (let i = 0; i < 5; i++) uuids.push(await commander.submit(request));
  const [first, second, third, fourth, fifth] = uuids as [string, string, string, string, string];
  await running(second);
  t.same(runner.starts, [first, second], 'no more than there are slots');
  runner.process(second).end();
  await running(third);
  runner.process(first).end();
  runner.process(third).end();
  await running(fifth);
  t.same(runner.starts, [first, second, third, fourth, fifth]);
});

t.test('the runner is told how a script is to be run', async (t) => {
  const { commander, runner, running } = system();
  const options = { keepBackground: true, nice: 5 };
  const uuid = await commander.submit({ ...request, options });
  await running(uuid);
  t.same(runner.options.get(uuid), options);
});

t.test('a command that prints more than is kept is ended only if its client wants that', async (t) => {
  const { commander, journal, running } = system();
  const overLimit = Promise.withResolvers<void>();
  journal.overLimit = overLimit.promise;
  const one = await commander.submit({ ...request, options: { onOutputLimit: 'kill' } });
  const other = await commander.submit({ ...request, options: { onOutputLimit: 'truncate' } });
  const [ended, spared] = [await running(one), await running(other)];
  overLimit.resolve();
  await until('it is told to end', () => ended.signals.length > 0);
  ended.end({ kind: 'signalled', signal: 'SIGTERM' });
  await until('it is stored', () => journal.commands.get(one)?.outcome);
  t.match(journal.commands.get(one)?.outcome, { status: 'FAILED', reason: 'output_limit' });
  t.same(spared.signals, []);
});

t.test('a command that wants what the runner can not do is refused, and not stored', async (t) => {
  const { commander, runner, journal } = system();
  runner.unsupported = { maxProcesses: 'max_processes is not possible here: for a test' };
  const options = { maxProcesses: 5 };
  await t.rejects(commander.submit({ ...request, options }), new OptionUnsupported(runner.unsupported.maxProcesses));
  await commander.submit({ ...request, options: { nice: 5, maxProcesses: undefined } });
  t.equal(journal.commands.size, 1);
});

t.test('a stop of a waiting command never starts it, and the next one takes its turn', async (t) => {
  const { commander, runner, journal, running } = system({ maxParallel: 1 });
  const first = await commander.submit(request);
  const second = await commander.submit(request);
  const third = await commander.submit(request);
  await commander.stop(second);
  t.match(journal.commands.get(second), { status: 'STOPPED', outcome: { reason: 'stop' } });
  (await running(first)).end();
  await running(third);
  t.same(runner.starts, [first, third]);
});

t.test('a stop is answered when the outcome is stored, again and again', async (t) => {
  const { commander, journal, running } = system();
  const uuid = await commander.submit(request);
  const process = await running(uuid);
  process.start();
  let answered = 0;
  const stops = Array.from({ length: 10_000 }, () => commander.stop(uuid).then(() => answered++));
  await until('the process is told', () => process.signals.length > 0);
  t.equal(answered, 0);
  process.end({ kind: 'signalled', signal: 'SIGTERM' });
  await Promise.all(stops);
  t.same(process.signals, ['terminate'], 'ten thousand stops are one');
  t.equal(journal.commands.get(uuid)?.status, 'STOPPED');
  await commander.stop(uuid);
});

t.test('a stop of a command that ended by itself is refused', async (t) => {
  const { commander, journal, running } = system();
  const uuid = await commander.submit(request);
  (await running(uuid)).end();
  await until('it is stored', () => journal.commands.get(uuid)?.status === 'EXECUTED');
  await t.rejects(commander.stop(uuid), new CommandEnded('EXECUTED'));
  await t.rejects(commander.stop('nobody'), new CommandNotFound());
});

t.test('a submission is answered once it is committed, not before', async (t) => {
  const { commander, journal } = system();
  const held = Promise.withResolvers<void>();
  journal.hold = held.promise;
  let answered = false;
  const submission = commander.submit(request).then(() => {
    answered = true;
  });
  await new Promise(setImmediate);
  t.notOk(answered);
  held.resolve();
  await submission;
});

t.test('a stop while bash is about to start prevents the start', async (t) => {
  const { commander, journal, runner } = system();
  const held = Promise.withResolvers<void>();
  const begin = journal.begin.bind(journal);
  journal.begin = async (uuid) => {
    await held.promise;
    return begin(uuid);
  };
  const uuid = await commander.submit(request);
  const stopped = commander.stop(uuid);
  held.resolve();
  await stopped;
  t.match(journal.commands.get(uuid), { status: 'STOPPED', outcome: { reason: 'stop', exitCode: null } });
  t.same(runner.starts, []);
});

t.test('a stop that overtakes the answer to the submission finds the command', async (t) => {
  const { commander, journal } = system({ maxParallel: 1 });
  await commander.submit(request);
  const held = Promise.withResolvers<void>();
  const insert = journal.insert.bind(journal);
  let uuid = '';
  journal.insert = async (command) => {
    uuid = command.uuid;
    const isStored = await insert(command);
    await held.promise;
    return isStored;
  };
  const submission = commander.submit(request);
  await until('it is in the database', () => journal.commands.has(uuid));
  const stopped = commander.stop(uuid);
  held.resolve();
  await stopped;
  t.equal(await submission, uuid);
  t.equal(journal.commands.get(uuid)?.status, 'STOPPED');
});

t.test('a full queue refuses, and takes again when there is room', async (t) => {
  const { commander, running } = system({ maxParallel: 1, maxQueued: 2 });
  const first = await commander.submit(request);
  await commander.submit(request);
  await commander.submit(request);
  await t.rejects(commander.submit(request), new QueueFull());
  (await running(first)).end();
  await until('there is room', () =>
    commander.submit(request).then(
      () => true,
      () => false,
    ),
  );
});

t.test('submissions that are still being stored count as waiting', async (t) => {
  const { commander, journal } = system({ maxParallel: 1, maxQueued: 1 });
  const held = Promise.withResolvers<void>();
  journal.hold = held.promise;
  const submissions = [commander.submit(request), commander.submit(request)];
  await t.rejects(commander.submit(request), new QueueFull());
  held.resolve();
  t.equal((await Promise.all(submissions)).length, 2);
});

t.test('a queue of no length still lets free slots be used', async (t) => {
  const { commander, running } = system({ maxParallel: 1, maxQueued: 0 });
  const uuid = await commander.submit(request);
  await running(uuid);
  await t.rejects(commander.submit(request), new QueueFull());
});

/** A queue of nodes that has this node, and another one with the label `other`. */
class FakeQueue implements SharedQueue {
  waiting = 0;
  /** How many there are if they are counted again. */
  counted = 0;
  async countWaiting(): Promise<number> {
    this.waiting = this.counted;
    return this.counted;
  }
  isOfKind(label: string | undefined): boolean {
    return label === undefined;
  }
  async demandKind(): Promise<void> {}
  serve(): void {}
  wake(): void {}
  async rest(): Promise<void> {}
  async stop(): Promise<TerminalStatus> {
    return 'STOPPED';
  }
}

t.test('what waits for all nodes is counted again before a command is refused because of it', async (t) => {
  const queue = new FakeQueue();
  const { commander, journal } = system({ queue, maxParallel: 1, maxQueued: 2 });
  queue.waiting = 100;
  queue.counted = 2;
  const uuid = await commander.submit(request);
  t.equal(journal.commands.get(uuid)?.status, 'QUEUED');
  queue.waiting = queue.counted = 3;
  await t.rejects(commander.submit(request), new QueueFull());
});

t.test('what only the machine that runs a command can tell is left to it', async (t) => {
  const { commander, journal, runner } = system({ queue: new FakeQueue() });
  const why = 'max_processes is not possible here: for a test';
  runner.unsupported = { maxProcesses: why };
  runner.refuseFolder = async () => 'no folder';
  const inputs = { cwd: '/folder' };
  const stored = await commander.submit({ ...request, options: { maxProcesses: 5, nodeLabel: 'other' }, inputs });
  t.equal(journal.commands.get(stored)?.status, 'QUEUED');
  await commander.submit({ ...request, inputs });
  await t.rejects(commander.submit({ ...request, options: { maxProcesses: 5 } }), new OptionUnsupported(why));
  // It runs here.
  await t.rejects(commander.submit({ ...request, inputs, secretEnv: { A: 'a' } }), new FolderRefused('no folder'));
});

t.test('a delete stops first, and takes the command away', async (t) => {
  const { commander, journal, running } = system();
  const uuid = await commander.submit(request);
  const process = await running(uuid);
  process.start();
  const removed = commander.remove(uuid);
  await until('it is told to end', () => process.signals.length > 0);
  t.ok(journal.commands.has(uuid), 'it is there until it has ended');
  process.end();
  await removed;
  t.notOk(journal.commands.has(uuid));
  await t.rejects(commander.remove(uuid), new CommandNotFound());
});

t.test('what is being stored takes only so much memory, and then the queue counts as full', async (t) => {
  const { commander, journal } = system();
  const large = { ...request, script: 'x'.repeat(200 * MIB) };
  const { promise, resolve } = Promise.withResolvers<void>();
  journal.hold = promise;
  const first = commander.submit(large);
  await t.rejects(commander.submit(large), new QueueFull());
  await t.rejects(commander.submit({ ...request, inputs: { stdin: Buffer.alloc(57 * MIB) } }), new QueueFull());
  const small = commander.submit(request);
  resolve();
  await t.resolves(Promise.all([first, small]));
  await t.resolves(commander.submit(large), 'stored ones count no more');
});

t.test('the secrets of commands that wait take only so much memory, and then the queue counts as full', async (t) => {
  const { commander, runner, running } = system({ maxParallel: 1 });
  const secret = { ...request, secretEnv: { TOKEN: 'x'.repeat(40 * MIB) } };
  const first = await commander.submit(secret);
  await running(first);
  const second = await commander.submit(secret);
  await t.rejects(commander.submit(secret), new QueueFull());
  await t.resolves(commander.submit(request), 'one without secrets');
  runner.process(first).end();
  await running(second);
  await t.resolves(commander.submit(secret), 'there is room again once it runs');
});

t.test('draining stops what runs, leaves what waits, and takes nothing new', async (t) => {
  const { commander, journal, runner, running } = system({ maxParallel: 1 });
  const first = await commander.submit(request);
  const second = await commander.submit(request);
  const process = await running(first);
  process.start();
  const drained = commander.drain();
  await t.rejects(commander.submit(request), new Draining());
  await until('it is told to end', () => process.signals.length > 0);
  process.end({ kind: 'signalled', signal: 'SIGTERM' });
  await drained;
  t.match(journal.commands.get(first), { status: 'STOPPED', outcome: { reason: 'shutdown' } });
  t.equal(journal.commands.get(second)?.status, 'QUEUED');
  t.same(runner.starts, [first]);
  await commander.drain();
});

t.test('draining when nothing runs is done at once', async () => {
  await system().commander.drain();
});

t.test('a command that was submitted just before the drain stays queued', async (t) => {
  const { commander, journal, runner } = system();
  const held = Promise.withResolvers<void>();
  journal.hold = held.promise;
  const submission = commander.submit(request);
  const drained = commander.drain();
  held.resolve();
  const uuid = await submission;
  await drained;
  t.equal(journal.commands.get(uuid)?.status, 'QUEUED');
  t.same(runner.starts, []);
});

t.test('a waiting command can be stopped while the server drains', async (t) => {
  const { commander, journal, running } = system({ maxParallel: 1 });
  const first = await commander.submit(request);
  const second = await commander.submit(request);
  const process = await running(first);
  const drained = commander.drain();
  await commander.stop(second);
  t.equal(journal.commands.get(second)?.status, 'STOPPED');
  process.end();
  await drained;
});

t.test('an outcome that can not be stored is reported, and its slot is free again', async (t) => {
  const { commander, journal, errors, running } = system({ maxParallel: 1 });
  journal.finish = () => Promise.reject(new Error('refused'));
  const first = await commander.submit(request);
  const second = await commander.submit(request);
  (await running(first)).end();
  await running(second);
  await until('it is reported', () => errors.length > 0);
  t.same(errors, ['the outcome of a command could not be stored']);
});

t.test('a runner that throws makes its command fail, and no other', async (t) => {
  const { commander, journal, runner, running } = system({ maxParallel: 1 });
  const start = runner.start.bind(runner);
  runner.start = () => {
    runner.start = start;
    throw new Error('a bug');
  };
  const first = await commander.submit(request);
  const second = await commander.submit(request);
  await running(second);
  t.match(journal.commands.get(first)?.outcome, { reason: 'spawn_error', error: /a bug/ });
});

t.test('a command actor that throws is reported, and takes no other command with it', async (t) => {
  const { commander, errors, running } = system({ maxParallel: 1 });
  const first = await commander.submit(request);
  const second = await commander.submit(request);
  const process = await running(first);
  process.start();
  process.terminate = () => {
    throw new Error('a bug');
  };
  await t.rejects(commander.stop(first), /a bug/);
  t.same(errors, ['a command actor failed']);
  await running(second);
});

t.test('a command that lives already is attached to, beyond the slots, and forgotten when it is stored', async (t) => {
  const { commander, runner, journal, running } = system({ maxParallel: 1 });
  journal.commands.set('old', { script: 'true', status: 'EXECUTING' });
  commander.readmit([
    {
      uuid: 'old',
      durable: true,
      options: {},
      stored: { upTo: 42, base: 0, limit: { headBytes: 10, tailBytes: 10 } },
      elapsedMs: 9,
      stop: null,
    },
  ]);
  const process = await running('old');
  t.same(runner.attachments, [{ uuid: 'old', from: 42 }]);
  t.same(runner.starts, []);
  const next = await commander.submit(request);
  process.start();
  process.end();
  await running(next);
  t.equal(journal.commands.get('old')?.status, 'EXECUTED');
  t.same(runner.forgotten, ['old']);
});

t.test('20,000 commands wait, and start one after the other in their order', async (t) => {
  const { commander, running, runner, journal } = system({ maxParallel: 1 });
  const uuids = Array.from({ length: 20_000 }, (_, i) => `u${i}`);
  for (const uuid of uuids) journal.commands.set(uuid, { script: 'true', status: 'QUEUED' });
  commander.admit(uuids.map((uuid) => ({ uuid, durable: false, options: {} })));
  for (const uuid of uuids.slice(0, 50)) (await running(uuid)).end();
  await running('u50');
  t.same(runner.starts, uuids.slice(0, 51));
});

const idempotency = { key: 'key', fingerprint: new Uint8Array(32) };

t.test('a repeat is answered with the first command, though the queue is full or the server drains', async (t) => {
  const { whole, journal } = system({ maxParallel: 1, maxQueued: 0 });
  const { uuid, isReplay } = await whole.submit(request, null, idempotency);
  t.equal(isReplay, false);
  await t.rejects(whole.submit(request, null, { ...idempotency, key: 'other' }), new QueueFull());
  t.same(await whole.submit(request, null, idempotency), { uuid, isReplay: true });
  t.same(await whole.rerun('nobody', {}, null, idempotency), { uuid, isReplay: true });
  void whole.drain();
  await t.rejects(whole.submit(request, null, { ...idempotency, key: 'other' }), new Draining());
  t.same(await whole.submit(request, null, idempotency), { uuid, isReplay: true });
  t.equal(journal.commands.size, 1);
});

t.test('of two requests with one key only one is admitted, and takes room in the queue', async (t) => {
  const { whole, journal, runner, running } = system({ maxParallel: 1, maxQueued: 1 });
  const held = Promise.withResolvers<void>();
  journal.hold = held.promise;
  const both = [whole.submit(request, null, idempotency), whole.submit(request, null, idempotency)];
  await new Promise(setImmediate);
  await t.rejects(whole.submit(request, null), new QueueFull(), 'both may yet need it');
  held.resolve();
  const [first, second] = await Promise.all(both);
  t.same([first?.isReplay, second], [false, { uuid: first?.uuid, isReplay: true }]);
  await whole.submit(request, null);
  await running(`${first?.uuid}`);
  t.same(runner.starts, [first?.uuid]);
  const counts = { waiting: 1, executing: 1, maxParallel: 1, maxQueued: 1, storing: 0 };
  t.same(whole.load(), { state: 'accepting', ...counts });
});

t.test('whoever finds its key taken by a command that comes to nothing has its turn', async (t) => {
  const { whole, journal } = system();
  const insert = journal.insert.bind(journal);
  let refusals = 2;
  journal.insert = async (command) => (refusals-- > 0 ? false : insert(command));
  const { uuid, isReplay } = await whole.submit(request, null, idempotency);
  t.equal(isReplay, false);
  t.same([...journal.commands.keys()], [uuid]);
});

t.test('a command that was given up and is kept for its repeat runs after all, with its secrets', async (t) => {
  const { whole, journal, runner } = system();
  const insert = journal.insert.bind(journal);
  let keep = () => {};
  journal.insert = async (command, onKept = () => {}) => {
    await insert(command);
    keep = onKept;
    throw new StorageUnavailable();
  };
  const secretEnv = { TOKEN: 'swordfish' };
  await t.rejects(whole.submit({ ...request, secretEnv }, null, idempotency), new StorageUnavailable());
  t.same(runner.starts, []);
  const { uuid } = await whole.submit({ ...request, secretEnv }, null, idempotency);
  keep();
  await until('it runs', () => runner.processes.get(uuid));
  t.same(runner.secrets.get(uuid), secretEnv);
});

t.test('a rerun that wants what the runner can not do is refused, as the first would be', async (t) => {
  const { whole, runner, journal } = system();
  journal.requests.set('old', { ...request, secretNames: [], options: { maxProcesses: 5 } });
  await whole.rerun('old', {}, null);
  runner.unsupported = { maxProcesses: 'max_processes is not possible here: for a test' };
  await t.rejects(whole.rerun('old', {}, null), new OptionUnsupported(runner.unsupported.maxProcesses));
  await t.rejects(whole.rerun('nobody', {}, null), new CommandNotFound());
  t.equal(journal.commands.size, 1);
});

t.test('who sent a command and who stopped it first are stored with it, and a name at neither is no one', async (t) => {
  const { whole, journal, runner, running } = system({ maxParallel: 1 });
  const { uuid: first } = await whole.submit(request, 'ann');
  const { uuid: second } = await whole.submit(request, null);
  journal.requests.set('old', { ...request, secretNames: [] });
  const { uuid: third } = await whole.rerun('old', {}, 'bob');
  const createdBy = [first, second, third].map((uuid) => journal.commands.get(uuid)?.createdBy);
  t.same(createdBy, ['ann', null, 'bob']);
  await running(first);
  const stops = [whole.stop(first, 'bob'), whole.stop(first, 'ann'), whole.stop(second, null)];
  runner.process(first).end({ kind: 'signalled', signal: 'SIGTERM' });
  await Promise.all(stops);
  const stoppedBy = () => [first, second, third].map((uuid) => journal.commands.get(uuid)?.outcome?.stoppedBy);
  t.same(stoppedBy(), ['bob', null, undefined]);
  await running(third);
  let outcome: Outcome | undefined;
  const finish = journal.finish.bind(journal);
  journal.finish = async (uuid, ended) => {
    outcome = ended;
    return finish(uuid, ended);
  };
  const removed = whole.remove(third, 'carl');
  runner.process(third).end({ kind: 'signalled', signal: 'SIGTERM' });
  await removed;
  t.match(outcome, { reason: 'stop', stoppedBy: 'carl' }, 'who deletes it stops it first');
});

t.test('a key of one caller is none of another', async (t) => {
  const { whole, journal } = system();
  const callers = ['ann', 'bob', null];
  const first = await Promise.all(callers.map((by) => whole.submit(request, by, idempotency)));
  t.same(
    first.map(({ isReplay }) => isReplay),
    [false, false, false],
  );
  const again = await Promise.all(callers.map((by) => whole.submit(request, by, idempotency)));
  t.same(
    again,
    first.map(({ uuid }) => ({ uuid, isReplay: true })),
  );
  t.equal(journal.commands.size, 3);
});

t.test('who was stopping a command under the server before this one is stored as who stopped it', async (t) => {
  const { whole, journal, running } = system();
  journal.commands.set('old', { script: 'true', status: 'EXECUTING' });
  const stored = { upTo: 0, base: 0, limit: { headBytes: 10, tailBytes: 10 } };
  const stop = { reason: 'stop', by: 'ann' } as const;
  whole.readmit([{ uuid: 'old', durable: false, options: {}, stored, elapsedMs: 9, stop }]);
  const process = await running('old');
  const stopped = whole.stop('old', 'bob');
  process.end({ kind: 'signalled', signal: 'SIGTERM' });
  await stopped;
  t.match(journal.commands.get('old')?.outcome, { status: 'STOPPED', reason: 'stop', stoppedBy: 'ann' });
});
