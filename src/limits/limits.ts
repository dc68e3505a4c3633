/** How much of all that costs memory or time clients may have of a server. */
import type { ServerLimits } from './http-server.ts';

export interface RequestLimits extends ServerLimits {
  /** How many streams and waits a client may have open at once. */
  maxStreams: number;
  /** How many bytes large bodies and answers may take together. */
  maxHeldBytes: number;
}

/** The first three are those of the configuration. */
export const DEFAULT_LIMITS: RequestLimits = {
  maxConnections: 2000,
  maxStreams: 500,
  maxHeldBytes: 256 * 1024 * 1024,
  headersMs: 20_000,
  requestMs: 300_000,
  checkMs: 5000,
};
