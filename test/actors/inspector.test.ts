import t from 'tap';
import { createActor } from 'xstate';
import { logTransitions } from '../../src/actors/inspector.ts';
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
