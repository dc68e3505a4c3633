/** What a kill of a launcher has cut off. */
import { readStored, type Stored } from '../test/helpers/oracle.ts';
import type { Ground } from './ground.ts';

/** What is stored of all commands that execute, or are lost already, by uuid. */
export async function cutOffCommands(world: Ground): Promise<Map<string, Stored>> {
  const { rows } = await world.query(
    `SELECT command_uuid AS uuid FROM commands WHERE status = 'EXECUTING' OR reason = 'lost'`,
  );
  const stored = new Map<string, Stored>();
  for (const { uuid } of rows) stored.set(uuid, await readStored(world, uuid));
  return stored;
}
