/** The variables of the configuration. */
import { readFileSync } from 'node:fs';

/** Their names, with the text of their defaults; undefined: it has none. */
export function configVariables(): Map<string, string | undefined> {
  // The schema is read as text: config.ts shares only what comes out of it, and that has other names.
  const source = readFileSync(new URL('../../src/config.ts', import.meta.url), 'utf8');
  const [, schema = ''] = /^const schema = z\.object\(\{\n(.*?)^\}\);/ms.exec(source) ?? [];
  const variables = schema.split(/^ {2}(?=[A-Z])/m).filter((text) => text !== '');
  if (variables.length === 0) throw new Error('the schema of the configuration was not found');
  return new Map(
    variables.map((text) => {
      const [, fallback] = /\.default\((.*)\)/.exec(text) ?? [];
      return [text.slice(0, text.indexOf(':')), fallback?.replaceAll(/'|(?<=\d)_(?=\d)/g, '')];
    }),
  );
}
