/** What the page says in passing: what was done, and what went wrong. */
import { signal } from '@preact/signals';
import { Refused, Unreachable } from '../../src/client/index.ts';
import type { Words } from './i18n/en.ts';
import { words } from './i18n/language.ts';

export interface Notice {
  text: string;
  isProblem: boolean;
}

/** How long a notice stays that nobody has to do anything about, in ms. */
const SHOWN_MS = 6000;

export const notices = signal<readonly Notice[]>([]);

export function tell(text: string): void {
  const notice = add({ text, isProblem: false });
  setTimeout(() => dismiss(notice), SHOWN_MS);
}

/** Stays until it is dismissed. */
export function complain(text: string): void {
  add({ text, isProblem: true });
}

export function dismiss(notice: Notice): void {
  notices.value = notices.value.filter((each) => each !== notice);
}

/** What went wrong, for a person. */
export function sentenceOf(error: unknown, { errors, unreachable }: Words = words.value): string {
  if (error instanceof Refused) return errors[error.code] ?? error.message;
  if (error instanceof Unreachable) return unreachable;
  return error instanceof Error ? error.message : String(error);
}

function add(notice: Notice): Notice {
  notices.value = [...notices.value.filter(({ text }) => text !== notice.text), notice];
  return notice;
}
