/** Values of options, as people write them. */
import { InvalidArgumentError } from 'commander';

/** Adds a `KEY=VALUE` to those before it. */
export function pair(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must look like KEY=VALUE.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** As `pair`; a `KEY` alone takes its value from our own environment, where other users of the machine can't see it. */
export function secret(environment: NodeJS.ProcessEnv) {
  return (text: string, before: Record<string, string> = {}): Record<string, string> => {
    if (text.includes('=')) return pair(text, before);
    const value = environment[text];
    if (value === undefined) throw new InvalidArgumentError(`There is no variable ${text} in the environment.`);
    return { ...before, [text]: value };
  };
}

const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A span of time such as `500ms`, `30s`, `5m`, `2h` or, in seconds, `30`. @returns ms. */
export function span(text: string): number {
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text) ?? [];
  if (number === undefined) throw new InvalidArgumentError('It must look like 500ms, 30s, 5m, 2h or 1d.');
  return Math.round(Number(number) * (UNIT_MS[unit] as number));
}

/** A time such as `2026-11-23T22:51:26Z`, or a span such as `7d`: so long ago. @returns as in ISO 8601. */
export function time(text: string): string {
  if (/^\d{4}-/.test(text)) return text;
  if (!/\d[a-z]+$/.test(text)) throw new InvalidArgumentError('It must look like 2026-11-23T22:51:26Z or 7d.');
  return new Date(Date.now() - span(text)).toISOString();
}

export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

/** Adds a value to those before it. */
export function several(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}
