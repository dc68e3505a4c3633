import t from 'tap';
import { JobQueue } from '../../src/persistence/cluster/jobs.ts';
import { openDatabase } from '../helpers/database.ts';
import { until } from '../helpers/until.ts';

t.test('a queue that could not be opened leaves nothing behind that goes on', async (t) => {
  const { url } = await openDatabase(t);
  const told: Error[] = [];
  const opening = JobQueue.open({
    databaseUrl: url,
    owner: 1,
    labels: ['is no name of a queue'],
    listen: async () => ({ close: async () => {} }),
    onJobs: () => {},
    onError: (error) => told.push(error),
  });
  await t.rejects(opening, { message: /name/i });
  const failedAt = performance.now();
  await until('heartbeats would have come', () => performance.now() - failedAt > 2500);
  t.same(told, []);
});
