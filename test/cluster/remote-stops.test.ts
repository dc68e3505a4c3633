import t from 'tap';
import { RemoteStops } from '../../src/persistence/cluster/stops.ts';
import { newCommand, openDatabase } from '../helpers/database.ts';
import { until } from '../helpers/until.ts';

t.test('whoever asks for a stop waits for its end as long as he wants to, whoever else does', async (t) => {
  const { pool, rows } = await openDatabase(t);
  const { uuid } = newCommand();
  await rows(
    `INSERT INTO commands (command_uuid, script, durable, created_at, owner, status, started_at)
     VALUES ($1, 'true', true, now(), 2, 'EXECUTING', now())`,
    [uuid],
  );
  // It waits for nobody here, so the queue is not asked.
  const stops = new RemoteStops({ pool, jobs: undefined as never, owner: 1, here: () => undefined });
  const begun = performance.now();
  const first = t.rejects(stops.stop(uuid, null, false, 1000), { code: 'STORAGE_UNAVAILABLE' });
  await until('nearly all of its time is over', () => performance.now() - begun > 800);
  const second = stops.stop(uuid, null, false, 60_000);
  await first;
  await rows(`UPDATE commands SET status = 'STOPPED', reason = 'stop', ended_at = now()`);
  t.equal(await second, 'STOPPED');
});
