/** How far scripts say that they are. */
import { sql } from 'slonik';
import type { Progress } from '../../command.ts';
import { type Connection, none } from './connection.ts';

export interface ProgressRow {
  uuid: string;
  progress: Progress;
  /** Whether those who follow all commands are told. */
  isTold: boolean;
}

/** Stores what running commands of this owner have told; of one that has ended nothing is changed any more. */
export async function storeProgress(db: Connection, owner: number, told: readonly ProgressRow[]): Promise<void> {
  const rows = told.map(({ uuid, progress, isTold }) => [uuid, JSON.stringify(progress), isTold]);
  await db.query(none`
    UPDATE commands c
    SET progress = p.progress, progress_told = CASE WHEN p.is_told THEN p.progress ELSE c.progress_told END
    FROM ${sql.unnest(rows, ['uuid', 'jsonb', 'bool'])} AS p (command_uuid, progress, is_told)
    WHERE c.command_uuid = p.command_uuid AND c.owner = ${owner} AND c.status = 'EXECUTING'`);
}
