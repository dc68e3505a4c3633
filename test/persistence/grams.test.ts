import fc from 'fast-check';
import t from 'tap';
import { gramsOf } from '../../src/persistence/grams.ts';
import { openDatabase } from '../helpers/database.ts';

t.test('the trigrams of new commands are those that the database computed of old ones', async (t) => {
  const { rows } = await openDatabase(t);
  // U+0130 is the one capital whose small form is longer in JavaScript.
  const text = fc
    .oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }), fc.constantFrom('ΣΟΦΌΣ', 'Straße', 'ПРИВЕТ'))
    .map((text) => text.replaceAll(/[\0İ]/g, '').toWellFormed());
  const texts = fc.sample(text, 500);
  const computed = await rows(
    'SELECT command_grams(text) AS grams FROM unnest($1::text[]) WITH ORDINALITY u (text, n) ORDER BY n',
    [texts],
  );
  const sorted = (grams: readonly number[]) => grams.toSorted((a, b) => a - b);
  // All at once: a text as the name of an assertion may be taken for a part of the report.
  t.strictSame(
    texts.map((text) => ({ text, grams: sorted(gramsOf(text)) })),
    texts.map((text, i) => ({ text, grams: sorted(computed[i].grams) })),
  );
});
