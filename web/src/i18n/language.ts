/** The language of the page: that of the browser where we speak it, unless the person says otherwise. */
import { computed, effect } from '@preact/signals';
import { stored } from '../stored.ts';
import { en, type Words } from './en.ts';
import { ru } from './ru.ts';

const WORDS = { en, ru } satisfies Record<string, Words>;
export type Language = keyof typeof WORDS;
const LANGUAGES = Object.keys(WORDS) as Language[];

const ofBrowser =
  navigator.languages.map((tag) => LANGUAGES.find((each) => each === tag.slice(0, 2).toLowerCase())).find(Boolean) ??
  'en';

export const language = stored<Language>(localStorage, 'language', LANGUAGES, ofBrowser);

/** What the page says. */
export const words = computed<Words>(() => WORDS[language.value]);

effect(() => {
  document.documentElement.lang = language.value;
});

export function switchLanguage(): void {
  language.value = language.value === 'en' ? 'ru' : 'en';
}
