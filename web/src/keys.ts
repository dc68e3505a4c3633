/**
 * What keys do. Screens say which they have as long as they are shown; the help lists those of the moment. Letters can be
 * switched off (WCAG 2.1.4): who dictates would press them without wanting to.
 */
import { computed, signal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Words } from './i18n/en.ts';
import { stored } from './stored.ts';

export interface Key {
  /** As `KeyboardEvent.key` names it; several do the same. With `Shift+` before it where that counts. */
  keys: readonly string[];
  does: (words: Words) => string;
  run: () => void;
}

export const singleKeys = stored(localStorage, 'single-keys', ['on', 'off'], 'on');

const shown = signal<readonly (readonly Key[])[]>([]);

/** All keys of the moment. */
export const activeKeys = computed(() => shown.value.flat());

/** Gives keys a meaning while a component is shown. */
export function useKeys(keys: readonly Key[]): void {
  // What they do changes with each rendering, which keys there are does not.
  const latest = useRef(keys);
  latest.current = keys;
  // As soon as it is seen: a person may be quick.
  useLayoutEffect(() => {
    const mine = keys.map((key, i): Key => ({ ...key, run: () => latest.current[i]?.run() }));
    shown.value = [...shown.value, mine];
    return () => {
      shown.value = shown.value.filter((each) => each !== mine);
    };
  }, []);
}

export function listenToKeys(): void {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector('dialog[open]') !== null || isTyping(event)) return;
    if (event.key.length === 1 && event.key !== ' ' && singleKeys.value === 'off') return;
    const found = activeKeys.value.findLast(({ keys }) => keys.some((key) => matches(event, key)));
    if (found === undefined) return;
    event.preventDefault();
    found.run();
  });
}

/** Shift is part of characters such as `?`. */
function matches(event: KeyboardEvent, key: string): boolean {
  const wanted = key.replace(/^Shift\+/, '');
  const isLetter = wanted.length === 1 && wanted !== ' ';
  if (wanted !== key && !event.shiftKey) return false;
  return wanted === event.key && (isLetter || wanted !== key || !event.shiftKey);
}

/** Whether a key belongs to what has the focus. */
function isTyping(event: KeyboardEvent): boolean {
  const { key } = event;
  // In the editor it is inside of what the event names.
  const element = event.composedPath()[0] as HTMLElement;
  if (element.matches('input:not([type=checkbox]), textarea, select') || element.isContentEditable) return true;
  // The space bar and Enter press what has the focus.
  return (key === ' ' || key === 'Enter') && element.matches('a, button, summary, input');
}
