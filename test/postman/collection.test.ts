import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { parse } from 'yaml';
import { OPENAPI_FILE } from '../../scripts/openapi.ts';
import { createDatabase } from '../helpers/cluster.ts';
import { runCollection } from '../helpers/newman.ts';
import { startServer } from '../helpers/server.ts';

const FILE = fileURLToPath(new URL('../../postman/shellvisor.postman_collection.json', import.meta.url));

interface Item {
  name: string;
  description?: string;
  item?: Item[];
  request?: { description?: string };
  response?: { code: number; originalRequest: { method: string } }[];
}

const collection: { item: Item[]; variable: { key: string; value: string }[] } = JSON.parse(readFileSync(FILE, 'utf8'));
const folders = collection.item;
const requests = folders.flatMap(({ item = [] }) => item);

/** Answers that a server at ease, or alone, does not give, what the guard says to all, and those that do not end; the
 * collection has saved examples of them. */
const NOT_MET = [
  / 401$/,
  / 403$/,
  / 429$/,
  / 503$/,
  /^DELETE .* 409$/,
  /^GET (\/api\/v1\/events|\/manage\/inspect|\/manage\/nodes|example) 200$/,
  /^(POST|DELETE) (\/manage\/nodes\/\{id\}\/drain|example) 204$/,
];

t.test('the collection runs from top to bottom and every answer is as it says', async (t) => {
  const token = 'the-token-of-the-collection';
  const server = await startServer(t, { DATABASE_URL: await createDatabase(t), SHELLVISOR_TOKEN: token });
  const { run } = await runCollection(FILE, { baseUrl: server.url, token });

  const failures = run.failures.map(({ source, error }) => `${source?.name}: ${error.test ?? ''}: ${error.message}`);
  t.same(failures, []);
  t.same(
    [...new Set(run.executions.map(({ item }) => item.name))],
    requests.map(({ name }) => name),
    'every request was sent, in order',
  );

  const { body: left } = await server.request('GET', '/api/v1/commands', undefined, token);
  t.same(left, [], 'no command is left behind');

  t.test('every request that has its answer is checked', async (t) => {
    // Those that repeat themselves until there is something to see are checked the last time.
    const last = new Map(run.executions.map((execution) => [execution.item.name, execution]));
    for (const [name, { assertions = [] }] of last) t.ok(assertions.length > 0, name);
  });

  t.test('every operation of the OpenAPI document is called, and each of its status codes is met', async (t) => {
    const { paths }: { paths: Record<string, Record<string, { responses: object }>> } = parse(
      readFileSync(OPENAPI_FILE, 'utf8'),
    );
    for (const [path, operations] of Object.entries(paths)) {
      const pattern = new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`);
      for (const [method, { responses }] of Object.entries(operations)) {
        const calls = run.executions.filter(
          ({ request }) => request.method === method.toUpperCase() && pattern.test(request.url.getPath()),
        );
        const met = new Set(calls.map(({ response }) => String(response?.code)));
        for (const code of Object.keys(responses)) {
          const answer = `${method.toUpperCase()} ${path} ${code}`;
          if (!NOT_MET.some((pattern) => pattern.test(answer))) t.ok(met.has(code), answer);
        }
      }
    }
  });
});

t.test('the collection shows examples of the answers that it does not meet', async (t) => {
  const examples = requests.flatMap(({ response = [] }) =>
    response.map(({ code, originalRequest }) => `${originalRequest.method} example ${code}`),
  );
  for (const pattern of NOT_MET)
    t.ok(
      examples.some((example) => pattern.test(example)),
      `${pattern}`,
    );
});

t.test('the collection reads well in Postman', async (t) => {
  t.same(
    folders.map(({ name }) => name),
    ['Run', 'Look', 'Stop', 'Delete', 'Manage', 'Errors'],
  );
  for (const { name, description } of folders) t.ok(description, `the folder ${name} is described`);
  for (const { name, request } of requests) t.ok(request?.description, `the request ${name} is described`);
  t.equal(new Set(requests.map(({ name }) => name)).size, requests.length, 'no two requests have the same name');
  t.match(collection.variable[0], { key: 'baseUrl', value: 'http://localhost:8080' });
});
