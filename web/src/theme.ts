/** Dark or light: as the system is, unless the person says otherwise. */
import { effect } from '@preact/signals';
import { stored } from './stored.ts';

const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

export const theme = stored<Theme>(localStorage, 'theme', THEMES, 'system');

const prefersDark = matchMedia('(prefers-color-scheme: dark)');

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

/** Shows the other one than what is seen now. */
export function switchTheme(): void {
  const isDark = theme.value === 'dark' || (theme.value === 'system' && prefersDark.matches);
  const other = isDark ? 'light' : 'dark';
  const isOfSystem = (other === 'dark') === prefersDark.matches;
  theme.value = isOfSystem ? 'system' : other;
}
