/** Signals that the browser keeps, so that a person finds a page as he left it. */
import { effect, type Signal, signal } from '@preact/signals';

/** @param values those that it may have; what is stored and is none of them counts for nothing. */
export function stored<Value extends string>(
  storage: Storage,
  name: string,
  values: readonly Value[],
  initial: Value,
): Signal<Value> {
  const key = `shellvisor.${name}`;
  const found = values.find((value) => value === storage.getItem(key));
  const kept = signal(found ?? initial);
  effect(() => {
    if (kept.value === initial) storage.removeItem(key);
    else storage.setItem(key, kept.value);
  });
  return kept;
}
