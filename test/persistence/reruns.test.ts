import t from 'tap';
import { outcomeOf } from '../../src/command.ts';
import { Changes } from '../../src/persistence/changes.ts';
import { createReader } from '../../src/persistence/reader.ts';
import { finishCommands } from '../../src/persistence/sql/commands.ts';
import { NOBODY } from '../../src/persistence/sql/owners.ts';
import { stopWaiting } from '../../src/persistence/sql/stops.ts';
import { openDatabase } from '../helpers/database.ts';

const uuid = '00000000-0000-4000-8000-000000000001';

for (const [who, owner] of [
  ['nobody', NOBODY],
  ['a server', 1234],
] as const) {
  t.test(`what is stopped while it waits at ${who} to run again keeps what it has printed`, async (t) => {
    const { pool, rows } = await openDatabase(t);
    await rows(
      `INSERT INTO commands (command_uuid, script, durable, created_at, owner, status, reruns, output_base)
       VALUES ($1, 'true', true, now(), $2, 'QUEUED', 1, 9)`,
      [uuid, owner],
    );
    await rows(`INSERT INTO command_output SELECT id, 0, 1, E'precious\\n' FROM commands`);
    const outcome = outcomeOf({ kind: 'not_started' }, { reason: 'stop', by: null }, null);
    const finish = { uuid, outcome, endedAt: new Date(), outputBytes: 0, path: { uuid, first: 0, steps: [] } };
    await pool.transaction((db) =>
      owner === NOBODY ? stopWaiting(db, uuid, null) : finishCommands(db, owner, [finish]),
    );
    t.match(await createReader(pool, new Changes()).get(uuid), {
      status: 'STOPPED',
      output: 'precious\n',
      outputBytes: 9,
    });
  });
}
