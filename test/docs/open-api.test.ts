import { readFileSync } from 'node:fs';
import { Validator } from '@seriousme/openapi-schema-validator';
import t from 'tap';
import { parse } from 'yaml';
import { buildDocumentedApp, OPENAPI_FILE, renderOpenApi } from '../../scripts/openapi.ts';
import { collectRoutes } from '../helpers/routes.ts';

/** What we look at of the document. */
interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
}
interface Operation {
  operationId?: string;
  summary?: string;
  tags?: string[];
  requestBody?: { required: boolean };
  parameters?: { name: string; description?: string; schema: object }[];
  responses: Record<string, { description: string; headers?: object; content?: Record<string, { schema: object }> }>;
}

const text = readFileSync(OPENAPI_FILE, 'utf8');
const document: Document = parse(text);
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, ...operation })),
);

/** All the values that a key has anywhere in a document. */
function valuesOf(key: string, node: unknown): unknown[] {
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([name, value]) => (name === key ? [value] : valuesOf(key, value)));
}

t.test('the committed OpenAPI document is what the route schemas say (else: npm run openapi)', async (t) => {
  t.equal(text, await renderOpenApi());
});

t.test('the document is valid OpenAPI 3.1', async (t) => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(text);
  t.same(errors, undefined);
  t.ok(valid);
  t.equal(validator.version, '3.1');
});

t.test('every route that the app answers is in the document, and no other', async (t) => {
  const { app, routes } = await collectRoutes(buildDocumentedApp);
  await app.close();
  const names = routes
    .filter(({ method, schema }) => !schema?.hide && method !== 'HEAD')
    .map(({ method, url }) => `${method} ${url.replaceAll(/:(\w+)/g, '{$1}')}`);
  t.same(operations.map(({ name }) => name).sort(), names.sort());
});

t.test('every status code of the contract is documented', async (t) => {
  const guarded = (...codes: string[]) => [...codes, '401', '403', '429'].sort();
  const create = guarded('201', '400', '409', '413', '415', '503');
  t.same(Object.fromEntries(operations.map(({ name, responses }) => [name, Object.keys(responses)])), {
    'POST /api/v1/commands': create,
    'POST /api/v1/durables/commands': create,
    'GET /api/v1/commands': guarded('200', '400', '503'),
    'DELETE /api/v1/commands': guarded('200', '400', '503'),
    'GET /api/v1/commands/{uuid}': guarded('200', '304', '400', '404', '503'),
    'GET /api/v1/commands/{uuid}/output': guarded('200', '204', '206', '400', '404', '416', '503'),
    'POST /api/v1/commands/{uuid}/rerun': guarded('201', '400', '404', '409', '413', '415', '503'),
    'GET /api/v1/commands/{uuid}/transitions': guarded('200', '404', '503'),
    'GET /api/v1/commands/{uuid}/statechart': guarded('200', '404', '503'),
    'GET /api/v1/commands/{uuid}/statechart.svg': guarded('200', '404', '503'),
    'PATCH /api/v1/commands/{uuid}': guarded('200', '400', '404', '409', '503'),
    'DELETE /api/v1/commands/{uuid}': guarded('204', '404', '409', '503'),
    'PUT /api/v1/commands/{uuid}/pin': guarded('204', '404', '503'),
    'DELETE /api/v1/commands/{uuid}/pin': guarded('204', '404', '503'),
    'GET /api/v1/events': guarded('200', '400', '503'),
    'GET /manage/health': ['200'],
    'GET /manage/ready': ['200', '503'],
    'GET /manage/metrics': guarded('200'),
    'GET /manage/inspect': guarded('200', '404'),
    'GET /manage/nodes': guarded('200', '404', '503'),
    'POST /manage/nodes/{id}/drain': guarded('204', '404', '503'),
    'DELETE /manage/nodes/{id}/drain': guarded('204', '404', '503'),
    'GET /manage/statechart': guarded('200', '503'),
    'GET /manage/statechart.svg': guarded('200', '503'),
  });
});

t.test('every operation, parameter and answer is described for its reader', async (t) => {
  for (const { name, operationId, summary, tags, parameters = [], responses } of operations) {
    t.ok(operationId, `${name} has an operationId`);
    t.ok(summary, `${name} has a summary`);
    t.ok(tags?.length, `${name} has a tag`);
    for (const parameter of parameters) t.ok(parameter.description, `${name}: ${parameter.name} is described`);
    for (const [code, { description }] of Object.entries(responses)) {
      t.not(description, 'Default Response', `${name}: ${code} is described`);
    }
  }
});

t.test('every error answer has the shape of Error, and says when to come again where that helps', async (t) => {
  for (const { name, responses } of operations) {
    for (const [code, { content, headers = {} }] of Object.entries(responses)) {
      // Readiness says why in its own shape, and there is nothing to try again.
      if (Number(code) < 400 || name === 'GET /manage/ready') continue;
      t.same(content, { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } }, `${name}: ${code}`);
      t.equal('Retry-After' in headers, ['429', '503'].includes(code), `Retry-After of ${name}: ${code}`);
    }
  }
});

t.test('every reference leads to a schema, and every schema is used', async (t) => {
  const names = valuesOf('$ref', document).map((reference) => String(reference).replace('#/components/schemas/', ''));
  const schemas = [
    'Command',
    'CommandStatechart',
    'Error',
    'NewCommand',
    'Node',
    'PartialCommand',
    'Pruned',
    'Readiness',
    'Rerun',
    'Statechart',
    'SupervisorStatechart',
    'Transition',
  ];
  t.same([...new Set(names)].sort(), schemas);
  t.same(Object.keys(document.components.schemas).sort(), schemas);
});

t.test('the details that clients rely on are documented', async (t) => {
  const { paths } = document;
  const create = paths['/api/v1/commands']?.post?.responses['201'];
  t.match(create?.headers, { Location: { schema: { type: 'string' } }, 'Idempotency-Replayed': {} });
  const rerun = paths['/api/v1/commands/{uuid}/rerun']?.post;
  for (const operation of [paths['/api/v1/commands']?.post, paths['/api/v1/durables/commands']?.post, rerun]) {
    const key = operation?.parameters?.find(({ name }) => name === 'idempotency-key');
    t.match(key, { in: 'header', required: false, schema: { type: 'string', minLength: 1, maxLength: 255 } });
  }
  t.equal(paths['/api/v1/commands']?.post?.requestBody?.required, true);
  t.same(rerun?.requestBody, {
    required: false,
    content: { 'application/json': { schema: { $ref: '#/components/schemas/Rerun' } } },
  });
  const parameters = paths['/api/v1/commands']?.get?.parameters?.map(({ name, schema }) => [name, schema]) ?? [];
  t.match(Object.fromEntries(parameters), {
    status: { type: 'array', items: { enum: ['QUEUED', 'EXECUTING', 'EXECUTED', 'FAILED', 'STOPPED'] } },
    limit: { type: 'integer', minimum: 1, maximum: 1000, default: 10 },
    offset: { type: 'integer', minimum: 0 },
  });
  t.match(paths['/api/v1/commands/{uuid}']?.get?.parameters, [
    { name: 'wait', in: 'query', schema: { type: 'integer', minimum: 0, maximum: 300 } },
    { name: 'fields', in: 'query', schema: { type: 'array' } },
    { name: 'output', in: 'query', schema: { enum: ['true', 'false'] } },
    { name: 'uuid', in: 'path', schema: { format: 'uuid' } },
  ]);
  t.same(Object.keys(paths['/manage/health']?.get?.responses['200']?.content ?? {}), ['text/plain']);
  t.match(document.components.schemas.NewCommand, { required: ['script'], additionalProperties: false });
  t.notOk('additionalProperties' in (document.components.schemas.Command ?? {}), 'answers may get more fields');
});

t.test('the server shows the document at /docs', async (t) => {
  const app = await buildDocumentedApp();
  t.teardown(() => app.close());
  const page = await app.inject('/docs');
  t.equal(page.statusCode, 200);
  t.match(page.headers['content-type'], /^text\/html/);
  const assets = [...page.body.matchAll(/(?:src|href)="\.?([^"]+)"/g)].map(([, path]) => path ?? '');
  t.ok(assets.length > 3, 'the page has its scripts and styles');
  for (const asset of assets) {
    const { statusCode } = await app.inject(new URL(asset, 'http://localhost/docs/').pathname);
    t.equal(statusCode, 200, `the page finds its ${asset}`);
  }
  const json = await app.inject('/docs/json');
  t.equal(json.statusCode, 200);
  t.same(json.json(), { ...document, servers: [{ url: '/' }] }, 'requests go to the server that shows the page');
});
