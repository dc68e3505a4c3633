/** Stops of commands that no node has taken: there is no actor that could. */
import { sql } from 'slonik';
import { z } from 'zod';
import { type CallerName, outcomeOf } from '../../command.ts';
import { lastStep, STOPPED_WAITING } from '../../transitions.ts';
import { finishCommands } from './commands.ts';
import type { Connection } from './connection.ts';
import { NOBODY, stepsOfWaiting } from './owners.ts';

/** Stops a command, if it still waits and nobody has taken it: within a transaction. */
export async function stopWaiting(db: Connection, uuid: string, by: CallerName): Promise<void> {
  const first = await db.maybeOneFirst(sql.type(z.object({ steps: z.number() }))`
    SELECT ${stepsOfWaiting} AS steps FROM commands c
    WHERE command_uuid = ${uuid} AND status = 'QUEUED' AND owner = ${NOBODY} FOR UPDATE`);
  if (first === null) return;
  const outcome = outcomeOf({ kind: 'not_started' }, { reason: 'stop', by }, null);
  const endedAt = new Date();
  const steps = [{ ...STOPPED_WAITING, at: +endedAt }, lastStep(outcome.status, +endedAt)];
  await finishCommands(db, NOBODY, [{ uuid, outcome, endedAt, outputBytes: 0, path: { uuid, first, steps } }]);
}
