/** What the inspector says, in the language of the page. It is for few, so the page is loaded without it. */
import { computed } from '@preact/signals';
import { language } from '../../i18n/language.ts';
import { en, type InspectorWords } from './en.ts';
import { ru } from './ru.ts';

const WORDS = { en, ru } satisfies Record<typeof language.value, InspectorWords>;

export const words = computed<InspectorWords>(() => WORDS[language.value]);
