/** Says that something failed in what it shows, where otherwise the page would be empty. */
import type { ComponentChildren } from 'preact';
import { useErrorBoundary } from 'preact/hooks';
import { words } from '../i18n/language.ts';
import { Problem } from './problem.tsx';

export function Boundary({ children }: { children: ComponentChildren }) {
  const [error, reset] = useErrorBoundary();
  if (error === undefined) return children;
  return <Problem error={words.value.broken(String(error))} onRetry={reset} />;
}
