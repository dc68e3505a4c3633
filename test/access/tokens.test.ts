import t from 'tap';
import { digestOf, lineOf, newToken, parseScopes, parseTokens } from '../../src/access/tokens.ts';

const digest = `sha256:${'a'.repeat(64)}`;

t.test('a new token is like no other, and fits into a header', async (t) => {
  const tokens = new Set(Array.from({ length: 100 }, newToken));
  t.equal(tokens.size, 100);
  for (const token of tokens) t.match(token, /^shv_[\w-]{43}$/);
});

t.test('what is written for a token is read again, and is not the token', async (t) => {
  const token = newToken();
  const line = lineOf('ci', ['run', 'read'], token);
  t.notMatch(line, token);
  t.same(parseTokens(line), [{ digest: digestOf(token), caller: { name: 'ci', scopes: new Set(['run', 'read']) } }]);
});

t.test('comments, empty lines and spaces mean nothing', async (t) => {
  const text = `# who\n\n  a   read  ${digest}  \r\n\t# more\nb admin ${digest}\n`;
  t.same(
    parseTokens(text).map(({ caller }) => caller.name),
    ['a', 'b'],
  );
  t.same(parseTokens(''), []);
});

t.test('a line of no use is named, and never repeated: it may hold a token', async (t) => {
  const good = `ok read ${digest}\n`;
  for (const [line, message] of [
    ['shv_secret', 'line 2: must be a name, scopes and a digest, such as: ci run,read sha256:…'],
    [`a read ${digest.toUpperCase()}`, /^line 2: must be a name/],
    [`a read ${digest} more`, /^line 2: must be a name/],
    [`a read ${digest.slice(0, -1)}`, /^line 2: must be a name/],
    [`-a read ${digest}`, /^line 2: the name must have 1 to 63 letters/],
    [`${'a'.repeat(64)} read ${digest}`, /^line 2: the name must have/],
    [`a write ${digest}`, 'line 2: the scopes must be some of read, run, stop, delete, admin, not "write"'],
    [`a read, ${digest}`, /^line 2: the scopes must be some of/],
    [`ok run ${digest}`, 'line 2: there is another token with the name ok'],
  ] as const) {
    t.throws(() => parseTokens(good + line), { message }, line);
  }
});

t.test('scopes are told by their names, with commas between them', async (t) => {
  t.same(parseScopes('read,run'), ['read', 'run']);
  for (const text of ['', ',', 'Read', 'read run', '__proto__'])
    t.throws(() => parseScopes(text), { message: /must be some of/ }, text);
});
