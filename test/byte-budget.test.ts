import t from 'tap';
import { ByteBudget } from '../src/byte-budget.ts';

t.test('what is taken is not there for others until it is given back', async (t) => {
  const budget = new ByteBudget(100);
  t.ok(budget.take(60));
  t.notOk(budget.take(41));
  t.ok(budget.take(40));
  budget.giveBack(60);
  t.ok(budget.take(60));
  t.notOk(budget.take(1));
});

t.test('one that is larger than all there is has its turn when nothing else is held', async (t) => {
  const budget = new ByteBudget(100);
  t.ok(budget.take(1000));
  t.notOk(budget.take(1));
  budget.giveBack(1000);
  t.ok(budget.take(1));
  t.notOk(budget.take(1000));
});
