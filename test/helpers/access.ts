/** Who may come in to an application under test. */
import { Keyring } from '../../src/access/keyring.ts';
import type { AccessOptions } from '../../src/app.ts';

/** Everybody, from this machine, but for what is given. */
export function accessWith(options: Partial<AccessOptions> = {}): AccessOptions {
  return { keyring: new Keyring(), allowedHosts: new Set(), docs: 'public', ratePerMinute: undefined, ...options };
}
