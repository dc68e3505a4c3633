/** Where clean-up is left for later: a tap test is one, and chaos makes its own. */
export interface Scope {
  /** Calls this at the end, the last one first. */
  teardown(cleanUp: () => unknown): unknown;
}
