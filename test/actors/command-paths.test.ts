import t from 'tap';
import { fromCallback, fromPromise, type StateValue } from 'xstate';
import { getShortestPaths, getSimplePaths } from 'xstate/graph';
import { commandMachine } from '../../src/actors/command.ts';
import { events, input } from '../helpers/command-events.ts';

// The machine alone: every event in every state, effects replaced by nothing.
const machine = commandMachine.provide({
  actors: { process: fromCallback(() => {}), store: fromPromise(async () => {}) },
});

const options = {
  input,
  events,
  serializeState: ({ value, context }: { value: StateValue; context: object }) => JSON.stringify([value, context]),
};
const name = (value: StateValue) => (typeof value === 'string' ? value : JSON.stringify(value));

t.test('every state of a command can be reached', async (t) => {
  const reached = new Set(getShortestPaths(machine, options).map((path) => name(path.state.value)));
  t.same(
    [...reached].sort(),
    [
      'executed',
      'failed',
      'queued',
      'stopped',
      'storing',
      '{"executing":"attaching"}',
      '{"executing":"killing"}',
      '{"executing":"running"}',
      '{"executing":"starting"}',
      '{"executing":"terminating"}',
    ].sort(),
  );
});

t.test('on every path the ladder runs once, in order, and the outcome is decided before the end', async (t) => {
  const paths = getSimplePaths(machine, options);
  t.ok(paths.length > 100, `${paths.length} paths`);
  for (const { steps, state } of paths) {
    const states = steps.map((step) => name(step.state.value));
    const trace = [...states, name(state.value)].join(' → ');
    for (const once of ['{"executing":"terminating"}', '{"executing":"killing"}', '{"executing":"starting"}']) {
      const entries = states.filter((at, i) => at === once && states[i - 1] !== once).length;
      if (entries > 1) t.fail(`${once} was entered twice: ${trace}`);
    }
    const [terminating, killing] = [
      states.indexOf('{"executing":"terminating"}'),
      states.indexOf('{"executing":"killing"}'),
    ];
    if (killing !== -1 && terminating > killing) t.fail(`SIGTERM behind SIGKILL: ${trace}`);
    const { context } = state;
    const isFinal = state.status === 'done';
    if (isFinal && !states.includes('storing')) t.fail(`ended without storing: ${trace}`);
    if (isFinal && state.output?.stored && context.outcome === null) t.fail(`stored no outcome: ${trace}`);
    if (context.outcome?.status === 'STOPPED' && context.stop === null) t.fail(`stopped by nobody: ${trace}`);
    if (context.outcome !== null && name(state.value).includes('executing')) t.fail(`decided too early: ${trace}`);
  }
});
