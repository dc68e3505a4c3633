/** What every answer must be like. */
import type { FuzzRequest } from './generate.ts';
import type { Answer } from './send.ts';

/** What any request may be answered with, see the description of the document: status codes by the code of the error. */
const ANYWHERE: Record<string, number> = {
  BAD_REQUEST: 400,
  BAD_URL: 400,
  NOT_FOUND: 404,
  BODY_TOO_LARGE: 413,
  URL_TOO_LONG: 414,
  UNSUPPORTED_MEDIA_TYPE: 415,
  HEADERS_TOO_LARGE: 431,
  INVALID_JSON: 400,
};

const INSIDE: [what: string, pattern: RegExp][] = [
  ['SQL', /\b(SELECT|INSERT INTO|UPDATE|DELETE FROM)\b[^"]*\b(FROM|VALUES|SET|WHERE)\b|syntax error at|slonik/],
  ['a stack', /\n\s+at |\.[tj]s:\d|node:internal/],
  ['a file', /node_modules|\/src\/|\.bash\b/],
];

/** What is wrong with an answer; undefined: nothing. @param secretPaths of the server, which no answer may tell. */
export function judge({ operation }: FuzzRequest, answer: Answer, secretPaths: readonly string[]): string | undefined {
  const { status, text } = answer;
  // The server is at ease: nothing is full, and the database is there.
  if (status >= 500) return `${status}: ${text.slice(0, 300)}`;
  const type = `${answer.headers['content-type'] ?? ''}`.split(';')[0] ?? '';
  if (status >= 400) return judgeError(operation.answers, answer, type) ?? judgeText(text, secretPaths);
  const types = operation.answers.get(status);
  if (types === undefined) return `${status} is not documented`;
  if (types.length > 0 && !types.includes(type)) return `${status} as ${type} is not documented`;
  if (type === 'application/json' && !isJson(text)) return `no JSON: ${text.slice(0, 300)}`;
  return undefined;
}

function judgeError(
  documented: ReadonlyMap<number, unknown>,
  { status, text }: Answer,
  type: string,
): string | undefined {
  if (type !== 'application/json' || !isJson(text)) return `${status} without JSON: ${text.slice(0, 300)}`;
  const { error, code } = JSON.parse(text);
  if (typeof error !== 'string' || error === '' || !/^[A-Z_]+$/.test(code))
    return `${status} without error and code: ${text}`;
  if (!documented.has(status) && ANYWHERE[code] !== status) return `${status} ${code} is not documented`;
  return undefined;
}

function judgeText(text: string, secretPaths: readonly string[]): string | undefined {
  const found =
    INSIDE.find(([, pattern]) => pattern.test(text))?.[0] ?? secretPaths.find((path) => text.includes(path));
  return found === undefined ? undefined : `tells ${found}: ${text.slice(0, 300)}`;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
