import fc from 'fast-check';
import t from 'tap';
import { shapeProblem } from '../../src/limits/json-shape.ts';

const problemOf = (json: string) => shapeProblem(Buffer.from(json));
/** Makes a text long enough to be looked at, and changes nothing else. */
const long = (json: string) => json + ' '.repeat(70_000);

t.test('what would take long to parse is known by its commas and brackets', async (t) => {
  t.equal(problemOf(`{${'"a":0,'.repeat(20_000)}"a":0}`), undefined);
  t.equal(problemOf(`{${'"a":0,'.repeat(20_001)}"a":0}`), 'it has more than 20000 values');
  t.equal(problemOf('['.repeat(250_000)), undefined);
  t.equal(problemOf('['.repeat(250_001)), 'it has more than 250000 arrays and objects');
  t.equal(problemOf('{"a":'.repeat(250_001)), 'it has more than 250000 arrays and objects');
});

t.test('a short text is not looked at', async (t) => {
  t.equal(problemOf(','.repeat(64 * 1024)), undefined);
  t.match(problemOf(','.repeat(64 * 1024 + 1)), /values$/);
});

t.test('what stands in a string does not count, wherever its end is', async (t) => {
  const many = ','.repeat(20_001);
  for (const rest of ['', '\\', '"', '\\"', 'x'.repeat(1023), 'x'.repeat(1024), 'x'.repeat(1025)]) {
    const text = JSON.stringify(rest + many);
    t.equal(problemOf(long(`[${text}]`)), undefined, `behind ${rest.slice(0, 3)}`);
    t.equal(problemOf(long(`[${JSON.stringify(many + rest)}]`)), undefined, `before ${rest.slice(0, 3)}`);
    t.match(problemOf(long(`[${text}${many}]`)), /values$/, `outside, behind ${rest.slice(0, 3)}`);
    t.match(
      problemOf(long(`[${JSON.stringify(rest)}${many}]`)),
      /values$/,
      `outside, behind ${rest.slice(0, 3)} alone`,
    );
  }
  t.equal(problemOf(long(`"${many}`)), undefined, 'a string without an end');
});

t.test('it counts what JSON.parse would find', async (t) => {
  // Backslashes and quotes in long runs: where the end of a string is hard to tell.
  const unit = fc.constantFrom('\\', '"', ',', '[', 'x');
  const text = fc
    .array(
      fc.oneof(
        unit,
        unit.map((c) => c.repeat(600)),
      ),
      { maxLength: 20 },
    )
    .map((parts) => parts.join(''));
  const property = fc.property(fc.array(text, { maxLength: 10 }), fc.boolean(), (texts, isOver) => {
    const commas = isOver ? 20_001 : 20_000;
    const values = Array(commas - Math.max(0, texts.length - 1)).fill(0);
    return (problemOf(long(`[${JSON.stringify(texts)},${values}]`)) !== undefined) === isOver;
  });
  t.equal(fc.check(property, { numRuns: 300 }).counterexample, null);
});
