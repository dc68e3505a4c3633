/** The OpenAPI document, made from the schemas of the routes, and the page at /docs that shows it. */
import swagger, { type SwaggerOptions, type SwaggerTransformObject } from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';
import type { z } from 'zod';
import type { RegistryToJSONSchemaParams } from 'zod/v4/core';
import type { Access } from './access/caller.ts';
import { guardScope } from './access/guard.ts';
import { hardenPages } from './access/headers.ts';
import { errors } from './routes/schemas.ts';
import { VERSION } from './version.ts';

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
  /** The same with plain names; what it refers to is added. */
  const renamed = <T>(node: T): T => {
    const text = JSON.stringify(node, (key, value) => {
      if (key === 'requestBody') return requestBodyOf(value);
      const name = key === '$ref' ? REFERENCE.exec(value)?.[1] : undefined;
      if (name === undefined) return value;
      schemas[name] ??= renamed(components.schemas[value.slice(SCHEMAS.length)]);
      return SCHEMAS + name;
    });
    return JSON.parse(text);
  };
  return { ...rest, paths: renamed(paths), components: { ...components, schemas } } as OpenApi;
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

const toJsonSchema = createJsonSchemaTransform({ zodToJsonConfig });

/** What the guard answers, whichever route is asked for. */
const REFUSALS = {
  401: '`UNAUTHORIZED`: the server wants a token, and none that it knows came with the request.',
  403:
    '`SCOPE_MISSING`: the token is not good for this. `HOST_REFUSED`, `ORIGIN_REFUSED`: it was sent to a name that the ' +
    'server does not go by, or by a page of another origin.',
  429: '`RATE_LIMITED`: more requests in a minute than the server takes of one client.',
};

/** Says of a route which token it wants, and how it refuses. */
const transform: typeof toJsonSchema = (options) => {
  const { schema, route } = options;
  const access = route.config?.access;
  if (!schema || schema.hide || access === undefined) return toJsonSchema(options);
  const scopes = access === 'public' ? [] : access.map((scope) => `\`${scope}\``);
  const wanted = access === 'public' ? 'Needs no token.' : `Scope of the token: ${scopes.join(' and ')}.`;
  const response = { ...(schema.response as Record<number, z.ZodType>) };
  for (const [code, sentence] of Object.entries(access === 'public' ? {} : REFUSALS)) {
    const own = response[Number(code)]?.meta()?.description;
    Object.assign(response, errors({ [code]: own === undefined ? sentence : `${own} ${sentence}` }));
  }
  const description = [schema.description, wanted].filter(Boolean).join(' ');
  const security = access === 'public' ? [] : [{ token: [] }];
  return toJsonSchema({ ...options, schema: { ...schema, description, security, response } });
};

const options: SwaggerOptions = {
  openapi: {
    openapi: '3.1.0',
    info: {
      title: 'shellvisor',
      version: VERSION,
      description:
        'Runs bash scripts in parallel and keeps their status and every byte of their output in PostgreSQL.\n\n' +
        'Any request may also be answered with 400 (`BAD_REQUEST`, `BAD_URL`: it is not valid HTTP, or could be read in two ' +
        'ways), 408 (`REQUEST_TIMEOUT`: it took too long to arrive), 413 or 415 (its body is too large, or not JSON), 414 ' +
        '(`URL_TOO_LONG`) and 431 (`HEADERS_TOO_LARGE`).',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: 'http://localhost:8080' }],
    components: {
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'Only where the server wants one; see `SHELLVISOR_TOKEN`',
        },
      },
    },
    tags: [
      { name: 'commands', description: 'Run bash scripts, look at them, stop and delete them' },
      { name: 'manage', description: 'For those who run the server' },
    ],
  },
  transform,
  transformObject,
};

/** Documents all routes that are registered afterwards. */
export async function registerOpenApi(app: FastifyInstance): Promise<void> {
  await app.register(swagger, options);
}

/** The one style that Swagger UI puts into its page by itself; a test in a browser says when it is another. */
const OWN_STYLE = 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w=';

/** Shows the document as a page. @param access who may see it. */
export async function registerDocs(app: FastifyInstance, access: Access): Promise<void> {
  await app.register(async (scope) => {
    guardScope(scope, access);
    await hardenPages(scope, [OWN_STYLE]);
    await scope.register(swaggerUi, {
      routePrefix: '/docs',
      // Whoever tries a request on the page means the server that showed it, wherever that listens.
      transformSpecification: (document) => ({ ...document, servers: [{ url: '/' }] }),
      transformSpecificationClone: false,
    });
  });
}
