/** Which rows a page of a list is made of, asked for so that few of the others are touched, whatever the filter. */
import { sql } from 'slonik';
import type { CommandFilter, ListPosition, ListQuery } from '../../ports/reader.ts';
import type { SqlFragment } from './connection.ts';
import { conditionsOf, where } from './filters.ts';

export interface Page {
  /** What it is prepared as. Undefined: what is looked for decides how, so it is planned each time. */
  name?: string;
  /** A SELECT of all columns of `commands`. */
  rows: SqlFragment;
}

const byId = (table: string) => sql.fragment`${sql.identifier([table, 'id'])} DESC`;
const byTime = (table: string) => sql.fragment`${sql.identifier([table, 'created_at'])} DESC, ${byId(table)}`;

/**
 * How a list is ordered. The times of commands follow their admission but for some milliseconds, or what the clocks of
 * several servers differ by. So a list between two times, in the order of admission, could be found only by looking at
 * all that is newer.
 */
export function orderOf(filter: CommandFilter): (table: string) => SqlFragment {
  return isByTime(filter) ? byTime : byId;
}

/** Whether a list is ordered by the time at which its commands were sent. */
export const isByTime = (filter: CommandFilter) =>
  filter.createdAfter !== undefined || filter.createdBefore !== undefined;

/** A page of a list. */
export function pageOf({ filter, behind, limit, offset }: Omit<ListQuery, 'withOutput'>): Page {
  const order = orderOf(filter);
  const end = sql.fragment`ORDER BY ${order('commands')} LIMIT ${limit} OFFSET ${offset}`;
  const place = behind === undefined ? [] : [placeBehind(behind, filter)];
  const all = (f: CommandFilter) => sql.fragment`SELECT * FROM commands ${where([...conditionsOf(f), ...place])}`;

  const { statuses = [], ...others } = filter;
  if (statuses.length > 1) {
    // Each status by itself: the index of statuses gives the commands of one in order, those of several it does not.
    const first = sql.fragment`ORDER BY ${order('commands')} LIMIT ${limit + offset}`;
    const arms = statuses.map((status) => sql.fragment`(${all({ ...others, statuses: [status] })} ${first})`);
    const merged = sql.fragment`(${sql.join(arms, sql.fragment` UNION ALL `)})`;
    return { rows: sql.fragment`SELECT * FROM ${merged} commands ${end}` };
  }
  const isPlain = Object.values(others).every((value) => value === undefined);
  const form = `${statuses.length === 0 ? '' : '_of_status'}${behind === undefined ? '' : '_behind'}`;
  return { rows: sql.fragment`${all(filter)} ${end}`, ...(isPlain && { name: `list_commands${form}` }) };
}

/** Those with these ids, in the order of the list of a filter. */
export function pageOfIds(ids: readonly number[], filter: CommandFilter): Page {
  return {
    name: `list_commands_of_ids${isByTime(filter) ? '_by_time' : ''}`,
    rows: sql.fragment`SELECT * FROM commands WHERE id = ANY(${sql.array(ids, 'int8')})`,
  };
}

/** What comes behind a place of a list. */
export function placeBehind({ id, createdAt }: ListPosition, filter: CommandFilter): SqlFragment {
  if (!isByTime(filter)) return sql.fragment`id < ${id}`;
  return sql.fragment`(created_at, id) < (${new Date(createdAt).toISOString()}::timestamptz, ${id})`;
}
