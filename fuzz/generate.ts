/**
 * Makes requests from the OpenAPI document: valid ones, nearly valid ones, and absurd ones.
 *
 * What runs is harmless by construction: a script is one of a few that are known here, of builtins of bash alone, or
 * something that no server may run. Nothing else that is generated gets where bash would take it for code.
 */
import fc from 'fast-check';
import { type Operation, operations, type Parameter, resolved, type Schema } from './document.ts';

/** One request. In its path `{known N}` stands for the uuid of a command that there is, or was. */
export interface FuzzRequest {
  operation: Operation;
  path: string;
  headers: Record<string, string>;
  body: Buffer | undefined;
}

const SCRIPTS = [':', 'echo x', 'false', 'exit 3', 'echo e >&2', 'printf "\\xff\\x00x"', 'echo "$1"', 'kill -9 $$'];
const NO_SCRIPTS = ['', 'a\0b', '\ud800', 7, null, true, [], {}, ['echo x'], { script: ':' }];

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 30 }),
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.constantFrom(
    '',
    ' ',
    '\0',
    'long\0enough',
    '\ud800',
    '\u2028',
    '\r\nEvil: yes',
    '%00',
    '%',
    '😀'.repeat(200),
    'x'.repeat(5000),
  ),
  fc.constantFrom(
    '__proto__',
    'constructor',
    "' OR 1=1 --",
    '"; DROP TABLE commands; --',
    '$(false)',
    '../../etc/passwd',
  ),
);

const numbers = fc.constantFrom(0, -0, -1, 1, 1.5, 2 ** 31, 2 ** 53, -(2 ** 63), 1e300, 5e-324);

/** Any JSON, of some depth. */
const absurd = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  numbers,
  text,
  fc.constantFrom(
    null,
    true,
    [],
    {},
    [[[[[[[[[[]]]]]]]]]],
    { a: { b: { c: {} } } },
    { constructor: { prototype: {} } },
  ),
);

/** Values of some keys that must not be left to chance; by their names, wherever they are. */
const KNOWN: Record<string, fc.Arbitrary<unknown>> = {
  script: fc.constantFrom(...SCRIPTS),
  // Commands end at once, and so do waits; nothing of the fuzz should take longer should they not.
  wait: fc.integer({ min: 0, max: 1 }),
  timeout_ms: fc.integer({ min: 1, max: 60_000 }),
  cwd: fc.constantFrom('/', '/tmp', '/nowhere', '/etc/passwd', '/tmp/../tmp', `/${'x'.repeat(300)}`),
  env: fc.dictionary(fc.constantFrom('A', 'LANG', 'TZ', 'TERM', '_', 'x9'), text, { maxKeys: 4 }),
  secret_env: fc.dictionary(fc.constantFrom('TOKEN', 'B'), fc.string({ minLength: 6, maxLength: 30 }), { maxKeys: 2 }),
  labels: fc.dictionary(fc.constantFrom('a', 'env', 'a/b', 'constructor'), fc.string({ maxLength: 20 }), {
    maxKeys: 3,
  }),
  stdin: fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 50 }),
    fc.base64String().map((base64) => ({ base64 })),
  ),
  max_memory_bytes: fc.constantFrom(16_777_216, 2 ** 30, 2 ** 53 - 1),
  max_processes: fc.constantFrom(1, 400, 4_194_304),
  from: fc.constantFrom('0', '1', '120', '120-98', '999999999999999', '760.759.1234'),
  'last-event-id': fc.constantFrom('0', '2', '3-2', '760.759.1234'),
  'idempotency-key': fc.constantFrom('a', 'b', '"quoted"', 'k'.repeat(255)),
  fields: fc.subarray(['status', 'output', 'script', 'command_uuid']).map((names) => names.join(',')),
  q: fc.constantFrom('echo', 'ECHO X', '___', '%%%', "a'b", 'x'.repeat(200)),
};

/** What a schema allows. */
function valid(schema: Schema, name = ''): fc.Arbitrary<unknown> {
  const known = KNOWN[name];
  if (known !== undefined) return known;
  const {
    anyOf,
    enum: values,
    type,
    format,
    minimum = 0,
    maximum = 1_000_000,
    maxLength = 30,
    ...rest
  } = resolved(schema);
  if (anyOf !== undefined) return fc.oneof(...anyOf.map((one) => valid(one)));
  if (values !== undefined) return fc.constantFrom(...values);
  if (type === 'integer') return fc.integer({ min: minimum, max: maximum });
  if (type === 'boolean') return fc.boolean();
  if (type === 'array') return fc.array(valid(rest.items ?? {}), { maxLength: 4 });
  if (type === 'object') return validObject(rest);
  if (format === 'date-time')
    return fc.date({ noInvalidDate: true, min: new Date(0) }).map((date) => date.toISOString());
  return fc.string({ unit: 'grapheme', maxLength: Math.min(maxLength, 40) });
}

function validObject({ properties = {}, required = [] }: Schema): fc.Arbitrary<Record<string, unknown>> {
  const shape = Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, valid(schema, name)]));
  // Few of the many keys: each that is wrong for another reason would hide the others.
  return fc
    .tuple(fc.subarray(Object.keys(shape), { maxLength: Math.min(4, Object.keys(shape).length) }), fc.record(shape))
    .map(([names, all]) => Object.fromEntries([...required, ...names].map((name) => [name, all[name]])));
}

/** What a value becomes that is a little wrong. */
function mutated(body: Record<string, unknown>): fc.Arbitrary<unknown> {
  const replace = (name: string) =>
    (name === 'script' ? fc.constantFrom(...NO_SCRIPTS) : absurd).map((value) => ({ ...body, [name]: value }));
  const added = fc.tuple(fc.oneof(text, fc.constantFrom('Script', 'SCRIPT ', 'durable', 'uuid')), absurd);
  return fc.oneof(
    ...Object.keys(body).map(replace),
    added.map(([name, value]) => (name === 'script' ? {} : { ...body, [name]: value })),
    fc.constant({ ...body, script: undefined }),
  );
}

/** Bodies of which none may be run, whatever the server makes of them. */
const RAW = [
  '',
  'null',
  '[]',
  '{',
  '"echo x"',
  '{"script":',
  'script=echo+x',
  '['.repeat(50_000),
  `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`,
  `{"script":"",${'"a":1,'.repeat(30_000)}"b":1}`,
  '{"__proto__":{"script":"echo x"}}',
  '{"script":"echo x","__proto__":{"a":1}}',
  '{"script":"echo x","constructor":{"prototype":{"a":1}}}',
  '\ufeff{"script":""}',
].map((json) => Buffer.from(json));
const raw = fc.oneof(
  fc.constantFrom(...RAW),
  fc.uint8Array({ minLength: 1, maxLength: 50 }).map((bytes) => Buffer.from([0xff, ...bytes])),
);

/** `JSON.stringify` writes lone surrogates as escapes, so the server gets to see them. */
const asJson = (value: unknown) => Buffer.from(JSON.stringify(value) ?? '');

function bodyOf(schema: Schema | undefined): fc.Arbitrary<Buffer | undefined> {
  const none = fc.constant(undefined);
  if (schema === undefined) return fc.oneof({ weight: 9, arbitrary: none }, { weight: 1, arbitrary: raw });
  const object = validObject(resolved(schema));
  return fc.oneof(
    { weight: 6, arbitrary: object.map(asJson) },
    { weight: 5, arbitrary: object.chain(mutated).map(asJson) },
    { weight: 1, arbitrary: raw },
    { weight: 1, arbitrary: none },
  );
}

/** What may stand in a line of headers; others a client of HTTP does not send. */
const headerText = text.map((value) => value.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '?'));
const HEADERS: Record<string, fc.Arbitrary<string>> = {
  accept: fc.constantFrom('text/event-stream', 'text/event-stream;q=0', 'application/json', '*/*'),
  prefer: fc.constantFrom('wait=0', 'wait=1', 'respond-async, wait=1', 'wait="1"', 'wait'),
  range: fc.constantFrom(
    'bytes=0-0',
    'bytes=0-',
    'bytes=-1',
    'bytes=9-1',
    'bytes=0-1,2-3',
    'lines=1-2',
    'bytes=999999999999-',
  ),
  'if-range': headerText,
  'if-none-match': fc.oneof(fc.constantFrom('*', 'W/"x"'), headerText),
  'x-request-id': headerText,
  'content-encoding': fc.constantFrom('identity', 'gzip'),
  'last-event-id': headerText,
  'idempotency-key': headerText,
};
const TYPES = ['application/json', 'application/json; charset=utf-8', 'application/json;charset="UTF-8"'];
const NO_TYPES = ['text/plain', 'application/json; charset=utf-16', 'application/json\tx', 'multipart/form-data', ''];

/** Now and then, once in `often` times; else nothing. */
const seldom = <T>(arbitrary: fc.Arbitrary<T>, often = 4): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: often - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });

const queryText = fc.oneof(
  text,
  numbers.map(String),
  fc.constantFrom('true', 'TRUE', '0', '00', '1e3', '01', '+1', '１'),
);

/** A parameter with a value; if it is to be spoiled, with an absurd one, or twice. */
function pairsOf({ name, schema }: Parameter, isSpoiled: boolean): fc.Arbitrary<[string, string][]> {
  const key = name === 'label' ? fc.constantFrom('label.a', 'label.env', 'label.constructor') : fc.constant(name);
  const good = fc.tuple(key, valid(schema, name).map(String));
  // How long to wait is not left to chance.
  if (!isSpoiled || name === 'wait') return good.map((pair) => [pair]);
  const bad = fc.tuple(key, queryText);
  return fc.oneof({ weight: 4, arbitrary: bad.map((pair) => [pair]) }, { weight: 1, arbitrary: fc.tuple(good, good) });
}

/** A few parameters, of which one at most is wrong: it would hide what is wrong with others. */
function queryOf(parameters: readonly Parameter[]): fc.Arbitrary<[string, string][]> {
  const chosen = fc.shuffledSubarray([...parameters], { maxLength: Math.min(3, parameters.length) });
  return fc
    .tuple(chosen, fc.boolean())
    .chain(([some, isSpoiled]) => fc.tuple(...some.map((one, i) => pairsOf(one, isSpoiled && i === 0))))
    .map((pairs) => pairs.flat());
}

/** URLs take any character as an escape, but no half of a pair. */
const escaped = (value: string) => encodeURIComponent(value.toWellFormed());

const uuid = fc.oneof(
  { weight: 8, arbitrary: fc.nat(10_000).map((n) => `{known ${n}}`) },
  { weight: 1, arbitrary: fc.uuid() },
  { weight: 2, arbitrary: text.map(escaped) },
);

function requestsOf(operation: Operation): fc.Arbitrary<FuzzRequest> {
  const { parameters, body } = operation;
  const query = queryOf(parameters.filter((parameter) => parameter.in === 'query'));
  const own = parameters.filter((parameter) => parameter.in === 'header');
  const headers = fc.record({
    ...Object.fromEntries(Object.entries(HEADERS).map(([name, value]) => [name, seldom(value, 15)])),
    ...Object.fromEntries(own.map(({ name, schema }) => [name, seldom(valid(schema, name).map(String))])),
    'content-type': fc.oneof(
      { weight: 20, arbitrary: fc.constantFrom(...TYPES) },
      { weight: 1, arbitrary: fc.constantFrom(...NO_TYPES) },
    ),
  });
  const unknown = seldom(fc.tuple(text, queryText), 20);
  return fc.record({ uuid, query, unknown, headers, body: bodyOf(body) }).map((parts) => {
    // What would wait for long is no parameter here.
    const more = parts.unknown === undefined || parts.unknown[0] === 'wait' ? [] : [parts.unknown];
    const search = [...parts.query, ...more].map(([name, value]) => `${escaped(name)}=${escaped(value)}`).join('&');
    const path = operation.path.replace('{uuid}', parts.uuid);
    const { 'content-type': type, ...given } = parts.headers as Record<string, string | undefined>;
    const all = { ...given, ...(parts.body !== undefined && type !== '' && { 'content-type': type }) };
    const sent = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return {
      operation,
      path: search === '' ? path : `${path}?${search}`,
      headers: Object.fromEntries(sent),
      body: parts.body,
    };
  });
}

/** Requests of all operations; those often that make something which the others can find. */
export const requests: fc.Arbitrary<FuzzRequest> = fc.oneof(
  ...operations.map((operation) => ({
    weight: operation.path.endsWith('/commands') && operation.method === 'POST' ? 4 : 1,
    arbitrary: requestsOf(operation),
  })),
);
