import t from 'tap';
import { createTurns } from '../../src/persistence/turns.ts';

t.test('those who share something use it one at a time, in their order, whoever fails', async (t) => {
  const turns = createTurns();
  const seen: string[] = [];
  let using = 0;
  const use = (name: string, fails = false) =>
    turns(async () => {
      t.equal(++using, 1, `${name} is alone`);
      seen.push(name);
      await new Promise(setImmediate);
      using--;
      if (fails) throw new Error(name);
      return name;
    });
  const [a, b, c] = await Promise.allSettled([use('a'), use('b', true), use('c')]);
  t.same(
    [a, c],
    [
      { status: 'fulfilled', value: 'a' },
      { status: 'fulfilled', value: 'c' },
    ],
  );
  t.match(b, { status: 'rejected', reason: { message: 'b' } });
  t.same(seen, ['a', 'b', 'c']);
});
