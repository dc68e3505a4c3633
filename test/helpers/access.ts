/** Who may come in to an application under test. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Keyring } from '../../src/access/keyring.ts';
import { lineOf } from '../../src/access/tokens.ts';
import type { AccessOptions } from '../../src/app.ts';
import type { Scope } from './scope.ts';
import { temporaryFolder } from './server.ts';

/** Everybody, from this machine, but for what is given. */
export function accessWith(options: Partial<AccessOptions> = {}): AccessOptions {
  return { keyring: new Keyring(), allowedHosts: new Set(), docs: 'public', ratePerMinute: undefined, ...options };
}

export const tokenOf = (name: string) => `the-token-of-${name}`;

/** The headers of a request of somebody with this name. */
export const as = (name: string) => ({ authorization: `Bearer ${tokenOf(name)}` });

/** A file of tokens with one for each of these names, all of whom may do everything. */
export function tokenFile(t: Scope, names: readonly string[]): string {
  const file = join(temporaryFolder(t), 'tokens');
  const lines = names.map((name) => lineOf(name, ['admin'], tokenOf(name)));
  writeFileSync(file, lines.join('\n'), { mode: 0o600 });
  return file;
}
