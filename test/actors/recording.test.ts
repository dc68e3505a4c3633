import t from 'tap';
import { fromCallback, fromPromise } from 'xstate';
import { getSimplePaths } from 'xstate/graph';
import { commandMachine } from '../../src/actors/command.ts';
import { createCommandSystem } from '../../src/actors/commander.ts';
import { recordTransitions } from '../../src/actors/recording.ts';
import type { Transition } from '../../src/command.ts';
import { LOST, lastStep, pathOf, START } from '../../src/transitions.ts';
import { events, input } from '../helpers/command-events.ts';
import { FakeJournal, FakeRunner, request } from '../helpers/fakes.ts';
import { arrowOf, faultOf, unusedArrows } from '../helpers/path.ts';
import { until } from '../helpers/until.ts';

const brief = ({ from, event, to }: Transition) => [from, event, to];

t.test(
  'every step that a command can take is told by the names of the picture, and no arrow is left out',
  async (t) => {
    const steps: Transition[] = [];
    const machine = commandMachine.provide({
      actors: { process: fromCallback(() => {}), store: fromPromise(async () => {}) },
    });
    const recording = recordTransitions(machine, (_, step) => steps.push(step));
    const serializeState = ({ value, context }: { value: unknown; context: object }) =>
      JSON.stringify([value, context]);
    getSimplePaths(recording, { input, events, serializeState });
    for (const step of steps) if (arrowOf(step) === undefined) t.fail(`${brief(step)} is not drawn`);
    const known = [
      ...pathOf(0, []),
      { from: 'queued', ...START },
      ...(['EXECUTED', 'FAILED', 'STOPPED'] as const).map((status) => ({ from: 'storing', ...lastStep(status, 0) })),
    ];
    for (const step of known)
      t.ok(arrowOf(step), `what is known without the machine is drawn: ${step.event} → ${step.to}`);
    t.ok(
      arrowOf({ from: 'storing', event: 'store failed', to: LOST.to }),
      'what is lost ends in a state that is drawn',
    );
    t.notOk(
      steps.some(({ event }) => event === 'store is done'),
      'the last step comes with the outcome',
    );
    t.same(unusedArrows([...steps, ...known]), []);
  },
);

function system() {
  const journal = new FakeJournal();
  const runner = new FakeRunner();
  const times = { stopGraceMs: 20, shutdownGraceMs: 0, timeoutMs: undefined, maxTimeoutMs: undefined };
  const commander = createCommandSystem({
    journal,
    reader: journal,
    runner,
    maxParallel: 1,
    maxQueued: 10,
    ...times,
    onError: () => {},
  });
  const of = (uuid: string) => journal.transitions.filter((step) => step.uuid === uuid);
  const running = (uuid: string) => until(`${uuid} runs`, () => runner.processes.get(uuid));
  return { journal, commander, of, running };
}

t.test('ten stops are one step, and each step has its time', async (t) => {
  const { commander, of, running } = system();
  const before = Date.now();
  const { uuid } = await commander.submit(request, null);
  const process = await running(uuid);
  process.start();
  await until('that is told', () => of(uuid).length === 2);
  const stops = Array.from({ length: 10 }, () => commander.stop(uuid, null));
  await until('it is killed', () => process.signals.includes('kill'));
  process.end({ kind: 'signalled', signal: 'SIGKILL' });
  await Promise.all(stops);
  const steps = of(uuid);
  t.same(steps.map(brief), [
    ['queued', 'start', 'executing.starting'],
    ['executing.starting', 'process.started', 'executing.running'],
    ['executing.running', 'stop', 'executing.terminating'],
    ['executing.terminating', 'after grace', 'executing.killing'],
    ['executing.killing', 'process.ended', 'storing'],
  ]);
  const times = [before, ...steps.map(({ at }) => at), Date.now()];
  t.same(times, times.toSorted());
  t.ok((times[4] as number) - (times[3] as number) >= 19, 'the grace lies between');
  const [, , stopped] = steps;
  t.same(
    steps.map(({ until }) => until),
    [undefined, undefined, (stopped?.at as number) + 20, undefined, undefined],
    'only the grace ends by itself',
  );
});

t.test('the step to storing is told before the outcome is handed over', async (t) => {
  const { commander, journal, of, running } = system();
  const told: (string | undefined)[] = [];
  const finish = journal.finish.bind(journal);
  journal.finish = (uuid, outcome) => {
    told.push(of(uuid).at(-1)?.to);
    return finish(uuid, outcome);
  };
  const { uuid: first } = await commander.submit(request, null);
  const { uuid: second } = await commander.submit(request, null);
  await commander.stop(second, null);
  (await running(first)).end();
  await until('both are stored', () => told.length === 2);
  t.same(told, ['storing', 'storing']);
  t.same(of(second).map(brief), [['queued', 'stop', 'storing']]);
});

t.test('a command that is taken up again begins anew, under the name of how it is taken up', async (t) => {
  const { commander, journal, of, running } = system();
  for (const uuid of ['living', 'waiting']) journal.commands.set(uuid, { script: 'true', status: 'EXECUTING' });
  const stored = { upTo: 0, base: 0, limit: { headBytes: 10, tailBytes: 10 } };
  const command = { durable: false, options: {} };
  commander.readmit([{ ...command, uuid: 'living', stored, elapsedMs: 0, stop: { reason: 'stop', by: null } }]);
  commander.admit([{ ...command, uuid: 'waiting' }]);
  (await running('living')).end();
  (await running('waiting')).end();
  await until('both are stored', () => [...journal.commands.values()].every(({ outcome }) => outcome !== undefined));
  t.same(of('living').map(brief), [
    [null, 'readmit', 'queued'],
    ['queued', 'resume', 'executing.attaching'],
    ['executing.attaching', 'stop', 'executing.terminating'],
    ['executing.terminating', 'process.ended', 'storing'],
  ]);
  t.same(of('waiting').slice(0, 2).map(brief), [
    [null, 'admit', 'queued'],
    ['queued', 'start', 'executing.starting'],
  ]);
});

t.test('an outcome that can not be stored leads to where the picture says', async (t) => {
  const { commander, journal, of, running } = system();
  journal.finish = () => Promise.reject(new Error('refused'));
  const { uuid } = await commander.submit(request, null);
  (await running(uuid)).end();
  await until('it is told', () => of(uuid).at(-1)?.event === 'store failed');
  t.equal(of(uuid).at(-1)?.to, 'failed');
});

t.test('a path that is broken, doubled or not to the end is noticed', async (t) => {
  const step = (event: string, to: string, at = 0) => ({ event, to, at });
  const steps = [step('start', 'executing.starting'), step('process.ended', 'storing'), lastStep('FAILED', 0)];
  t.equal(faultOf(pathOf(0, steps), 'FAILED'), null);
  t.equal(faultOf(pathOf(0, [step('start', 'executing.starting'), { ...LOST, at: 0 }]), 'FAILED'), null);
  for (const [wrong, status] of [
    [steps.slice(1), 'FAILED'],
    [[steps[0], ...steps], 'FAILED'],
    [steps.slice(0, 2), 'FAILED'],
    [[...steps, lastStep('FAILED', 0)], 'FAILED'],
    [[...steps, step('readmit', 'queued')], 'FAILED'],
    [steps, 'STOPPED'],
  ] as const) {
    t.ok(faultOf(pathOf(0, wrong as typeof steps), status), `${wrong.map((each) => each?.event)}, ${status}`);
  }
});

t.test('what is left of a grace is told when a command is taken up again, and a kill goes on as one', async (t) => {
  const { commander, journal, of, running } = system();
  const left = { terminating: { graceMs: 60_000, isKilled: false }, killed: { graceMs: 60_000, isKilled: true } };
  for (const [uuid, ladder] of Object.entries(left)) {
    journal.commands.set(uuid, { script: 'true', status: 'EXECUTING' });
    const stored = { upTo: 0, base: 0, limit: { headBytes: 10, tailBytes: 10 } };
    const stop = { reason: 'timeout', by: null } as const;
    commander.readmit([{ durable: false, options: {}, uuid, stored, elapsedMs: 0, stop, ...ladder }]);
  }
  const [, , terminating] = of('terminating');
  t.match(terminating, { to: 'executing.terminating', until: (terminating?.at as number) + 60_000 });
  t.same(brief(of('killed').at(-1) as Transition), ['executing.attaching', 'kill', 'executing.killing']);
  for (const uuid of Object.keys(left)) (await running(uuid)).end({ kind: 'signalled', signal: 'SIGKILL' });
  await until('both are stored', () => [...journal.commands.values()].every(({ outcome }) => outcome !== undefined));
  t.match([...journal.commands.values()], [{ outcome: { reason: 'timeout' } }, { outcome: { reason: 'timeout' } }]);
});
