import t from 'tap';
import { shared } from '../../src/persistence/shared.ts';

const counting = (answer: (query: string, look: number) => Promise<string>) => {
  const looks: string[] = [];
  const ask = shared(
    (query: string) => query,
    (query: string) => {
      looks.push(query);
      return answer(query, looks.length);
    },
  );
  return { looks, ask };
};

t.test('what many ask for in one turn is looked up once', async (t) => {
  const { looks, ask } = counting(async (query, look) => `${query}${look}`);
  t.same(await Promise.all([ask('a'), ask('b'), ask('a'), ask('a')]), ['a1', 'b2', 'a1', 'a1']);
  t.same(looks, ['a', 'b']);
});

t.test('who asks while a look-up is under way gets one that begins after that', async (t) => {
  let now = 'before';
  const first = Promise.withResolvers<void>();
  const { looks, ask } = counting(async (_, look) => {
    const seen = now;
    if (look === 1) await first.promise;
    return seen;
  });
  const early = ask('a');
  await new Promise((resolve) => setImmediate(resolve));
  t.same(looks, ['a'], 'it is under way');
  now = 'after';
  t.equal(await ask('a'), 'after');
  first.resolve();
  t.equal(await early, 'before');
});

t.test('what fails fails for all who asked, and is looked up anew for the next', async (t) => {
  const { ask } = counting(async (_, look) => {
    if (look === 1) throw new Error('away');
    return 'there';
  });
  await Promise.all([t.rejects(ask('a'), /away/), t.rejects(ask('a'), /away/)]);
  t.equal(await ask('a'), 'there');
});
