import t from 'tap';
import { fuzz } from '../fuzz/run.ts';
import { startFuzzed } from '../fuzz/server.ts';
import { createDatabase } from './helpers/cluster.ts';

/** `FUZZ_SEED` repeats a run that has failed. */
const seed = Number(process.env.FUZZ_SEED ?? 4);

t.test('2,000 requests made from the OpenAPI document, valid, nearly valid and absurd, harm nothing', async (t) => {
  const { url: origin, secretPaths, failures } = await startFuzzed(t, await createDatabase(t));
  const { violations, statuses } = await fuzz({ origin, count: 2000, seed, secretPaths });
  t.same(violations, [], `seed ${seed}`);
  t.same(failures(), []);
  const sent = Object.values(statuses).reduce((sum, n) => sum + n, 0);
  t.equal(sent, 2000, 'all are answered');
  for (const status of [200, 201, 204, 400, 404]) t.ok((statuses[status] ?? 0) > 20, `many ${status}`);
});
