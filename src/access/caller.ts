/** Who sends a request, and what he may do. */
import { ScopeMissing } from '../errors.ts';

/** What a token may be good for. */
export const SCOPES = ['read', 'run', 'stop', 'delete', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** Whoever sends a request. */
export interface Caller {
  /** The name of his token; null: nobody had to say who he is. */
  readonly name: string | null;
  readonly scopes: ReadonlySet<Scope>;
}

/** Who sends requests to a server that wants no token: he may do everything. */
export const ANYONE: Caller = { name: null, scopes: new Set(['admin']) };

/** Who has not said who he is, where that is wanted: he may see what everybody may. */
export const STRANGER: Caller = { name: null, scopes: new Set() };

/** What a caller must be allowed to do for a route: all of these. `public`: nothing, not even to have a token. */
export type Access = 'public' | readonly [Scope, ...Scope[]];

/** @throws ScopeMissing */
export function demandScope(caller: Caller, access: Access): void {
  const missing = missingScope(caller, access);
  if (missing !== undefined) throw new ScopeMissing(caller.name ?? 'of nobody', missing);
}

/** @returns the first scope that he lacks; undefined when there is none. */
export function missingScope({ scopes }: Caller, access: Access): Scope | undefined {
  if (access === 'public' || scopes.has('admin')) return undefined;
  return access.find((scope) => !scopes.has(scope));
}
