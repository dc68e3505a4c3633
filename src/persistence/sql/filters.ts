/** Which commands a filter means, as conditions on the table `commands`. */
import { sql } from 'slonik';
import { SEARCHED_SCRIPT_CHARACTERS } from '../../command.ts';
import type { CommandFilter } from '../../ports/reader.ts';
import type { SqlFragment } from './connection.ts';

/** All of these conditions; none is true of all. */
export function where(conditions: readonly SqlFragment[]): SqlFragment {
  return conditions.length === 0 ? sql.fragment`` : sql.fragment`WHERE ${sql.join(conditions, sql.fragment` AND `)}`;
}

/** The conditions that a filter stands for. */
export function conditionsOf(filter: CommandFilter): SqlFragment[] {
  const { statuses, durable, labels, pinned, createdBy, reason, exitCode, createdAfter, createdBefore, text } = filter;
  const conditions: SqlFragment[] = [];
  if (statuses !== undefined) conditions.push(statusIn(statuses));
  if (durable !== undefined) conditions.push(sql.fragment`durable = ${durable}`);
  if (labels !== undefined) conditions.push(sql.fragment`labels @> ${JSON.stringify(labels)}::jsonb`);
  // Not as a parameter: the index of those that are pinned has to be recognised.
  if (pinned !== undefined) conditions.push(pinned ? sql.fragment`pinned` : sql.fragment`NOT pinned`);
  if (createdBy !== undefined) conditions.push(sql.fragment`created_by = ${createdBy}`);
  if (reason !== undefined) conditions.push(sql.fragment`reason = ${reason}`);
  if (exitCode !== undefined) conditions.push(sql.fragment`exit_code = ${exitCode}`);
  if (createdAfter !== undefined)
    conditions.push(sql.fragment`created_at > ${createdAfter.toISOString()}::timestamptz`);
  if (createdBefore !== undefined)
    conditions.push(sql.fragment`created_at < ${createdBefore.toISOString()}::timestamptz`);
  if (text !== undefined) conditions.push(contains(text));
  return conditions;
}

function statusIn(statuses: readonly string[]): SqlFragment {
  const [status = '', ...others] = statuses;
  return others.length === 0
    ? sql.fragment`status = ${status}`
    : sql.fragment`status = ANY(${sql.array([...statuses], 'text')})`;
}

/** Where the index looks for a text: at what has these trigrams, in these segments of ids; undefined: in all. */
export interface SearchArea {
  grams: readonly number[];
  segments?: readonly number[] | undefined;
}

/** What has all trigrams of a text need not have the text: only a look at it tells. */
function contains(text: string): SqlFragment {
  return sql.fragment`(strpos(lower(description), lower(${text})) > 0
    OR strpos(lower(left(script, ${SEARCHED_SCRIPT_CHARACTERS})), lower(${text})) > 0)`;
}

/** What the index knows of. As an array, since a join with so vague a guess of its rows is planned in any way. */
export function isIn({ grams, segments }: SearchArea): SqlFragment {
  const within = segments === undefined ? sql.fragment`` : sql.fragment`AND segment && ${sql.array(segments, 'int4')}`;
  return sql.fragment`id = ANY(ARRAY(
    SELECT command_id FROM command_search WHERE grams @> ${sql.array(grams, 'int2')} ${within}))`;
}
