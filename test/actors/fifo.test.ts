import fc from 'fast-check';
import t from 'tap';
import { Fifo } from '../../src/actors/fifo.ts';

t.test('a queue behaves as an array does, whatever is done to it', async () => {
  const action = fc.oneof(
    fc.constant({ do: 'push' as const }),
    fc.constant({ do: 'shift' as const }),
    fc.record({ do: fc.constant('remove' as const), item: fc.nat(50) }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 300 }), (actions) => {
      const queue = new Fifo<number>();
      const model: number[] = [];
      let next = 0;
      for (const step of actions) {
        if (step.do === 'push') {
          queue.push(next);
          model.push(next++);
        } else if (step.do === 'shift') {
          if (queue.shift() !== model.shift()) return false;
        } else {
          const at = model.indexOf(step.item);
          if (at !== -1) model.splice(at, 1);
          if (queue.remove(step.item) !== (at !== -1)) return false;
        }
        if (queue.size !== model.length) return false;
      }
      return true;
    }),
  );
});

t.test('a long queue keeps its order when most of it is taken and some is removed', async (t) => {
  const queue = new Fifo<number>();
  for (let i = 0; i < 10_000; i++) queue.push(i);
  const taken = Array.from({ length: 8000 }, () => queue.shift());
  t.same(
    taken,
    taken.map((_, i) => i),
  );
  t.ok(queue.remove(9000));
  t.notOk(queue.remove(9000));
  t.notOk(queue.remove(5));
  const rest = Array.from({ length: queue.size }, () => queue.shift());
  t.equal(rest.length, 1999);
  t.equal(rest.includes(9000), false);
  t.equal(queue.shift(), undefined);
});
