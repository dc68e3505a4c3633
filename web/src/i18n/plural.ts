/** Numbers with their noun, as a language wants it. */

type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };

/** @returns a function that turns 3 into `3 commands`. */
export function plural(language: string, forms: Forms): (count: number) => string {
  const rules = new Intl.PluralRules(language);
  const numbers = new Intl.NumberFormat(language);
  return (count) => `${numbers.format(count)} ${forms[rules.select(count)] ?? forms.other}`;
}
