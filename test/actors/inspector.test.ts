import t from 'tap';
import { createActor } from 'xstate';
import { ActorInspector, logTransitions } from '../../src/actors/inspector.ts';
import { supervisorMachine } from '../../src/actors/supervisor.ts';

t.test('each transition of a machine is logged with the event that caused it', async (t) => {
  const lines: object[] = [];
  const inspect = logTransitions({ debug: (fields) => lines.push(fields) });
  const actor = createActor(supervisorMachine, { id: 'supervisor', input: { maxParallel: 1 } as never, inspect });
  actor.start();
  actor.send({ type: 'drain' });
  t.match(lines.slice(-2), [
    { actor: 'supervisor', event: 'drain', state: 'draining' },
    { actor: 'supervisor', state: 'drained' },
  ]);
});

t.test('one who follows is told of each second in which nothing happens, and ends when he wants', async (t) => {
  const inspector = new ActorInspector();
  const input = { maxParallel: 1 } as never;
  const actor = createActor(supervisorMachine, { id: 'supervisor', input, inspect: inspector.observe });
  actor.start();
  const ending = new AbortController();
  const batches = inspector.follow(ending.signal);
  const next = async () => (await batches.next()).value;
  t.match(await next(), [{ type: 'actor', name: 'supervisor', parent: null, state: 'accepting', status: 'active' }]);
  const quiet = next();
  t.same(await quiet, []);
  actor.send({ type: 'drain' });
  const seen = [
    { type: 'event', name: 'supervisor', event: 'drain', source: null },
    { type: 'snapshot', name: 'supervisor', event: 'drain', state: 'drained', status: 'active' },
  ];
  t.match(await next(), seen);
  const last = batches.next();
  ending.abort();
  t.same(await last, { value: undefined, done: true });
});
