/** Rows as NDJSON: what the server told, each as it told it, with the name of its event as `type`. */
import type { Row } from './sequence.ts';

export function ndjsonOf(rows: readonly Row[]): string {
  const told = rows.flatMap((row) => (row.kind === 'gap' ? [] : row.told));
  return told.map((each) => `${JSON.stringify(each)}\n`).join('');
}
