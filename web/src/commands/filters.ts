/** Which commands are shown: the parameters of the page's address, which are those of the API. */
import type { ListQuery } from '../../../src/client/index.ts';
import { STATUSES, type Status } from '../../../src/command.ts';

/** The parameters that a person can set here, but for labels. */
export const FILTERS = [
  'q',
  'status',
  'durable',
  'pinned',
  'reason',
  'exit_code',
  'created_by',
  'created_after',
  'created_before',
] as const;
export type FilterName = (typeof FILTERS)[number];

const LABEL = 'label.';

/** Fewer characters the server has no means to look for. */
export const SEARCH_MIN = 3;

/** What is asked for, as the address has it: of each parameter one text. */
export type Filters = Readonly<Record<string, string>>;

/** Reads the address; what is no filter counts for nothing. */
export function filtersOf(search: string): Filters {
  const given = [...new URLSearchParams(search)].filter(
    ([name, value]) => value !== '' && (FILTERS.includes(name as FilterName) || name.startsWith(LABEL)),
  );
  return Object.fromEntries(given);
}

/** The address of the list with these filters. */
export function addressOf(filters: Filters): string {
  const parameters = new URLSearchParams(filters);
  return parameters.size === 0 ? '/' : `/?${parameters}`;
}

/** What the server is asked for. A text that is too short to look for is not asked for. */
export function queryOf({ q, ...filters }: Filters): ListQuery {
  return q !== undefined && [...q].length >= SEARCH_MIN ? { ...filters, q } : filters;
}

/** With one of them set; an empty text takes it out. */
export function withFilter(filters: Filters, name: string, value: string): Filters {
  const { [name]: _, ...others } = filters;
  return value === '' ? others : { ...others, [name]: value };
}

export function statusesOf({ status = '' }: Filters): Status[] {
  return STATUSES.filter((each) => status.split(',').includes(each));
}

/** With a status asked for that was not, or the other way round. */
export function withStatus(filters: Filters, status: Status): Filters {
  const before = statusesOf(filters);
  const after = STATUSES.filter((each) => before.includes(each) !== (each === status));
  return withFilter(filters, 'status', after.join(','));
}

/** The labels that are asked for, as a person writes them: `team=web, env=prod`. */
export function labelsOf(filters: Filters): string {
  const labels = Object.entries(filters).filter(([name]) => name.startsWith(LABEL));
  return labels.map(([name, value]) => `${name.slice(LABEL.length)}=${value}`).join(', ');
}

/** @param text as `labelsOf` gives it; parts without `=` count for nothing. */
export function withLabels(filters: Filters, text: string): Filters {
  const others = Object.entries(filters).filter(([name]) => !name.startsWith(LABEL));
  const labels = text.split(',').map((part) => /^\s*([^=\s]+)=(.*?)\s*$/.exec(part));
  return Object.fromEntries([
    ...others,
    ...labels.flatMap((label) => (label === null ? [] : [[`${LABEL}${label[1]}`, label[2] ?? '']])),
  ]);
}
