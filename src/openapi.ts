/** The OpenAPI document, made from the schemas of the routes, and the page at /docs that shows it. */
import { readFileSync } from 'node:fs';
import swagger, { type SwaggerOptions, type SwaggerTransformObject } from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';
import type { RegistryToJSONSchemaParams } from 'zod/v4/core';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

type OpenApi = ReturnType<SwaggerTransformObject> & { components: { schemas: Record<string, object> } };
type Override = NonNullable<RegistryToJSONSchemaParams['override']>;

/** What zod says of its types, put the way a reader of an API wants it. */
const override: Override = ({ zodSchema, jsonSchema }) => {
  const { def } = zodSchema._zod;
  // The answer has no body; swagger knows that by this type.
  if (def.type === 'undefined') jsonSchema.type = 'null';
  // Left out by zod where text is turned into something else, which all numbers of a query string are.
  if (def.type === 'default') jsonSchema.default = def.defaultValue as typeof jsonSchema.default;
  // Answers may get more fields at any time; only an object that refuses unknown ones says so.
  if (def.type === 'object' && def.catchall === undefined) delete jsonSchema.additionalProperties;
  // The format says it already, and can be read.
  if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
  // The limits of JavaScript are not ours.
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
};

const zodToJsonConfig = { override };
const addSchemas = createJsonSchemaTransformObject({ zodToJsonConfig });
const SCHEMAS = '#/components/schemas/';
const REFERENCE = new RegExp(`^${SCHEMAS}(.*?)(?:Input)?$`);

/**
 * Adds the named schemas. The library gives each two names, `Command` in answers and `CommandInput` in requests;
 * each of ours is used in only one of the two, so that one is kept, under the plain name.
 */
const transformObject: SwaggerTransformObject = (document) => {
  const { paths, components, ...rest } = addSchemas(document) as OpenApi;
  const schemas: Record<string, object | undefined> = {};
  const renamed = JSON.stringify(paths, (key, value) => {
    if (key === 'requestBody') return requestBodyOf(value);
    const name = key === '$ref' ? REFERENCE.exec(value)?.[1] : undefined;
    if (name === undefined) return value;
    schemas[name] = components.schemas[value.slice(SCHEMAS.length)];
    return SCHEMAS + name;
  });
  return { ...rest, paths: JSON.parse(renamed), components: { schemas } } as OpenApi;
};

interface RequestBody {
  required: boolean;
  content: { 'application/json': { schema: { anyOf?: { type?: string }[] } } };
}

/** A body that may be null for us may be left out by clients; the library knows only required ones. */
function requestBodyOf(body: RequestBody): object {
  const [schema, nothing] = body.content['application/json'].schema.anyOf ?? [];
  if (nothing?.type !== 'null') return body;
  return { ...body, required: false, content: { 'application/json': { schema } } };
}

const options: SwaggerOptions = {
  openapi: {
    openapi: '3.1.0',
    info: {
      title: 'shellvisor',
      version,
      description: 'Runs bash scripts in parallel and keeps their status and every byte of their output in PostgreSQL.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: 'http://localhost:8080' }],
    tags: [
      { name: 'commands', description: 'Run bash scripts, look at them, stop and delete them' },
      { name: 'manage', description: 'For those who run the server' },
    ],
  },
  transform: createJsonSchemaTransform({ zodToJsonConfig }),
  transformObject,
};

/** Documents all routes that are registered afterwards. */
export async function registerOpenApi(app: FastifyInstance): Promise<void> {
  await app.register(swagger, options);
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    // Whoever tries a request on the page means the server that showed it, wherever that listens.
    transformSpecification: (document) => ({ ...document, servers: [{ url: '/' }] }),
    transformSpecificationClone: false,
  });
}
