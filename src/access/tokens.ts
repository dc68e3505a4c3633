/**
 * Tokens and the lines of the file that knows them. A token has 256 random bits, so that a plain SHA-256 of it can be kept:
 * there is nothing to guess that a slow hash would have to protect.
 */
import { createHash, randomBytes } from 'node:crypto';
import { type Caller, SCOPES, type Scope } from './caller.ts';

/** What every token begins with, so that one that got lost is found in a repository or a log. */
const PREFIX = 'shv_';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const DIGEST = /^sha256:([0-9a-f]{64})$/;

/** The SHA-256 of a token. */
export function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

export function newToken(): string {
  return PREFIX + randomBytes(32).toString('base64url');
}

/** A token as it is known: not itself, but its digest. */
export interface KnownToken {
  readonly digest: Buffer;
  readonly caller: Caller & { readonly name: string };
}

/** What is wrong with the name of a token, as the end of a sentence about it; undefined: nothing. */
export function nameProblem(name: string): string | undefined {
  if (NAME.test(name)) return undefined;
  return 'must have 1 to 63 letters, digits and . _ -, and begin with a letter or digit';
}

/** Reads scopes such as `read,run`. @throws Error with the end of a sentence about them. */
export function parseScopes(text: string): Scope[] {
  const names = text.split(',');
  const unknown = names.find((name) => !SCOPES.some((scope) => scope === name));
  if (unknown !== undefined) throw new Error(`must be some of ${SCOPES.join(', ')}, not "${unknown}"`);
  return names as Scope[];
}

/** The line of a token in the file. */
export function lineOf(name: string, scopes: readonly Scope[], token: string): string {
  return `${name} ${scopes.join(',')} sha256:${digestOf(token).toString('hex')}`;
}

/**
 * Reads the text of a file of tokens: a line each, such as `ci run,read sha256:…`; empty lines and what begins with `#` is
 * passed over. @throws Error that names the line and what is wrong in it, but not what a line holds: it may be a token.
 */
export function parseTokens(text: string): KnownToken[] {
  const known = new Map<string, KnownToken>();
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const token = parseLine(line.trim(), `line ${index + 1}`);
    const { name } = token.caller;
    if (known.has(name)) throw new Error(`line ${index + 1}: there is another token with the name ${name}`);
    known.set(name, token);
  }
  return [...known.values()];
}

function parseLine(line: string, place: string): KnownToken {
  const [name = '', scopes = '', hash = '', ...more] = line.split(/\s+/);
  const digest = DIGEST.exec(hash)?.[1];
  if (digest === undefined || more.length > 0) {
    throw new Error(`${place}: must be a name, scopes and a digest, such as: ci run,read sha256:…`);
  }
  const problem = nameProblem(name);
  if (problem !== undefined) throw new Error(`${place}: the name ${problem}`);
  try {
    return { digest: Buffer.from(digest, 'hex'), caller: { name, scopes: new Set(parseScopes(scopes)) } };
  } catch (error) {
    throw new Error(`${place}: the scopes ${(error as Error).message}`);
  }
}
