/** What the fuzz knows of the server: its OpenAPI document, and nothing else. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { OPENAPI_FILE } from '../scripts/openapi.ts';

/** As much of JSON Schema as the document uses. */
export interface Schema {
  $ref?: string;
  anyOf?: Schema[];
  type?: string;
  enum?: unknown[];
  format?: string;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  items?: Schema;
}

export interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required?: boolean;
  schema: Schema;
}

export interface Operation {
  id: string;
  method: string;
  /** Such as `/api/v1/commands/{uuid}`. */
  path: string;
  parameters: readonly Parameter[];
  body: Schema | undefined;
  /** Types of the answers by status code. */
  answers: ReadonlyMap<number, readonly string[]>;
}

type Content = Record<string, { schema: Schema }>;
interface Document {
  paths: Record<
    string,
    Record<
      string,
      {
        operationId: string;
        parameters?: Parameter[];
        requestBody?: { content: Content };
        responses: Record<string, { content?: Content }>;
      }
    >
  >;
  components: { schemas: Record<string, Schema> };
}

const document: Document = parse(readFileSync(OPENAPI_FILE, 'utf8'));

export const operations: readonly Operation[] = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, { operationId, parameters = [], requestBody, responses }]) => ({
    id: operationId,
    method: method.toUpperCase(),
    path,
    parameters,
    body: requestBody?.content['application/json']?.schema,
    answers: new Map(
      Object.entries(responses).map(([status, { content = {} }]) => [Number(status), Object.keys(content)]),
    ),
  })),
);

/** The schema that a reference stands for, or that it is. */
export function resolved(schema: Schema): Schema {
  const name = schema.$ref?.split('/').at(-1);
  return name === undefined ? schema : (document.components.schemas[name] ?? {});
}
