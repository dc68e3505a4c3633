/** The clock of the database beside ours. */
import { sql } from 'slonik';
import { z } from 'zod';
import type { Connection } from './connection.ts';

/** The time in ms since the epoch by a clock that nobody sets: it goes on evenly from the start of the process. */
export const steadyNow = () => performance.timeOrigin + performance.now();

/** By how much the clock of the database is ahead of `steadyNow`, in ms. */
export async function clockOffset(db: Connection): Promise<number> {
  const row = z.object({ now: z.number() });
  const before = steadyNow();
  const [now = before] = await db.anyFirst(sql.type(row)`SELECT clock_timestamp() AS now`);
  return now - (before + steadyNow()) / 2;
}
