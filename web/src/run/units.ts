/** Numbers with units, as people write them. What can't be read gives undefined. */

const UNITS_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };
const UNITS_BYTES: Record<string, number> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};
const BINARY = ['TiB', 'GiB', 'MiB', 'KiB'];
const CYRILLIC: Record<string, string> = {
  б: 'b',
  к: 'k',
  м: 'm',
  г: 'g',
  т: 't',
  и: 'i',
  с: 's',
  ч: 'h',
  д: 'd',
  н: 'n',
};

/** A span of time such as `90`, which are seconds, `1.5 s`, `500 ms`, `5 min`. @returns ms. */
export const spanOf = (text: string) => amountOf(text, UNITS_MS, 's');

/** A size such as `512 MiB`, `1.5G` (of 1024), `10 MB` (of 1000) or, in bytes, `65536`. @returns bytes. */
export const sizeOf = (text: string) => amountOf(text, UNITS_BYTES, 'b');

export function wholeOf(text: string): number | undefined {
  return /^\s*\d+\s*$/.test(text) ? Number(text) : undefined;
}

/** As short as it can be read again by `sizeOf`, and exact. */
export function textOfSize(bytes: number): string {
  const unit = BINARY.find((name) => bytes > 0 && bytes % (UNITS_BYTES[name.toLowerCase()] as number) === 0);
  return unit === undefined ? `${bytes}` : `${bytes / (UNITS_BYTES[unit.toLowerCase()] as number)} ${unit}`;
}

function amountOf(text: string, units: Record<string, number>, ownUnit: string): number | undefined {
  const [, number, unit = ''] = /^\s*(\d+(?:[.,]\d+)?)\s*(\p{L}*)\s*$/u.exec(text) ?? [];
  const latin = [...unit.toLowerCase()].map((letter) => CYRILLIC[letter] ?? letter).join('');
  const factor = units[latin || ownUnit];
  return number === undefined || factor === undefined
    ? undefined
    : Math.round(Number(number.replace(',', '.')) * factor);
}
