/** Numbers and times as people read them. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Those that were made already: to make one takes a hundred times as long as to use it, and a list uses some for each row. */
const numbers = new Map<string, Intl.NumberFormat>();
const dates = new Map<string, Intl.DateTimeFormat>();

function numberFormat(locale: string, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  return kept(numbers, `${locale} ${JSON.stringify(options)}`, () => new Intl.NumberFormat(locale, options));
}

function dateFormat(locale: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  return kept(dates, `${locale} ${JSON.stringify(options)}`, () => new Intl.DateTimeFormat(locale, options));
}

function kept<Value>(values: Map<string, Value>, key: string, make: () => Value): Value {
  const value = values.get(key) ?? make();
  values.set(key, value);
  return value;
}

/** Such as `320 ms`, `4.2 s`, `3:05`, `2:03:05`, `3 d 02:03`: at most eight or so characters. @param ms not negative. */
export function formatDuration(ms: number, locale: string): string {
  const unit = (value: number, name: 'millisecond' | 'second' | 'day', digits = 0) =>
    numberFormat(locale, {
      style: 'unit',
      unit: name,
      unitDisplay: 'short',
      maximumFractionDigits: digits,
    }).format(value);
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  if (ms < SECOND) return unit(Math.round(ms), 'millisecond');
  if (ms < MINUTE) return unit(Math.floor(ms / 100) / 10, 'second', 1);
  const seconds = two((ms % MINUTE) / SECOND);
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)}:${seconds}`;
  const minutes = two((ms % HOUR) / MINUTE);
  if (ms < DAY) return `${Math.floor(ms / HOUR)}:${minutes}:${seconds}`;
  return `${unit(Math.floor(ms / DAY), 'day')} ${two((ms % DAY) / HOUR)}:${minutes}`;
}

/**
 * Such as `17 kB`: with powers of 1000, as the names of the units say.
 * @param units their names, from bytes on.
 */
export function formatBytes(bytes: number, locale: string, units: readonly string[]): string {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1);
  const value = bytes / 1000 ** power;
  const digits = power > 0 && value < 10 ? 1 : 0;
  return `${numberFormat(locale, { maximumFractionDigits: digits }).format(value)}\u00a0${units[power]}`;
}

/** The time of day, of another day with its date. */
export function formatTime(ms: number, locale: string, now = Date.now()): string {
  return formatTimeWith({}, ms, locale, now);
}

/** The same, to the millisecond. */
export function formatPreciseTime(ms: number, locale: string, now = Date.now()): string {
  return formatTimeWith({ fractionalSecondDigits: 3 }, ms, locale, now);
}

function formatTimeWith(more: Intl.DateTimeFormatOptions, ms: number, locale: string, now: number): string {
  const date = new Date(ms);
  const isToday = date.toDateString() === new Date(now).toDateString();
  const time = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', ...more } as const;
  const day = { year: '2-digit', month: '2-digit', day: '2-digit' } as const;
  return dateFormat(locale, isToday ? time : { ...day, ...time }).format(date);
}

/** A time with all that is known of it. */
export function formatFullTime(ms: number, locale: string): string {
  return dateFormat(locale, { dateStyle: 'full', timeStyle: 'long' }).format(ms);
}
