/** What is wrong with a request, by its keys: each in the server's own sentence. What belongs to none is at `''`. */
import { Refused } from '../../../src/client/index.ts';
import type { Words } from '../i18n/en.ts';
import { words } from '../i18n/language.ts';
import { sentenceOf } from '../notices.ts';
import { BadLine } from './form.ts';

export type Problems = Readonly<Partial<Record<string, string>>>;

/** Refusals that are of one key without saying so. */
const KEYS: Partial<Record<string, string>> = {
  TIMEOUT_TOO_LONG: 'timeout_ms',
  CWD_REFUSED: 'cwd',
  SCRIPT_TOO_LARGE: 'script',
};

/** @param known the keys that have a field to say it at. */
export function problemsOf(error: unknown, known: readonly string[], { run }: Words = words.value): Problems {
  if (error instanceof BadLine) return { [error.key]: run.badLine(error.line) };
  if (!(error instanceof Refused)) return { '': sentenceOf(error) };
  const key = KEYS[error.code];
  const details = key === undefined ? error.details : [{ path: key, message: error.message }];
  const found = new Map<string, string>();
  for (const { path, message } of details) {
    const [name = ''] = path.split('.');
    const place = known.includes(name) ? name : '';
    if (!found.has(place)) found.set(place, message);
  }
  return found.size === 0 ? { '': sentenceOf(error) } : Object.fromEntries(found);
}
