import t from 'tap';
import { watchStorageUse } from '../../src/persistence/storage-use.ts';
import type { StorageUse } from '../../src/ports/watching.ts';

const use: StorageUse = { commands: 7, pinned: 1, bytes: 70, diskBytes: 8192 };

t.test('the database is asked once for all who want to know within some seconds', async (t) => {
  let reads = 0;
  const look = watchStorageUse(async () => ({ ...use, commands: ++reads }));
  t.same(await Promise.all([look(), look(), look()]), Array(3).fill({ ...use, commands: 1 }));
  t.same(await look(), { ...use, commands: 1 });
});

t.test('nobody waits long for a database that does not answer, and what was known is told', async (t) => {
  const answers = [Promise.withResolvers<StorageUse>()];
  const look = watchStorageUse(() => (answers[0] as (typeof answers)[0]).promise);
  const before = performance.now();
  t.equal(await look(), null);
  const took = performance.now() - before;
  t.ok(took > 500 && took < 5000, `answered after ${took} ms`);
  answers[0]?.resolve(use);
  t.same(await look(), use, 'the answer that came too late for the first is that of the next');
});

t.test('a database that fails is asked again by the next who wants to know', async (t) => {
  let isAway = true;
  const look = watchStorageUse(async () => {
    if (isAway) throw new Error('away');
    return use;
  });
  t.equal(await look(), null);
  isAway = false;
  t.same(await look(), use);
});
