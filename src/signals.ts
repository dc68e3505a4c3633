/** Which signals ask for a graceful shutdown, and which end the process at once. */

/**
 * Under `npm start` one Ctrl-C arrives twice, from the terminal and passed on by npm. What comes within this many ms of
 * the first signal is the same one.
 */
const SAME_SIGNAL_MS = 500;

/** What ends a server gracefully; SIGHUP comes when its terminal is closed. */
export const SHUTDOWN_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Calls `first` at the first of some signals and `second` at the first that comes clearly later.
 * @param now a clock in ms, for tests.
 */
export function onShutdownSignals(
  names: readonly NodeJS.Signals[],
  first: (name: NodeJS.Signals) => void,
  second: (name: NodeJS.Signals) => void,
  now: () => number = () => performance.now(),
): void {
  let firstAt: number | undefined;
  const handle = (name: NodeJS.Signals) => {
    if (firstAt === undefined) {
      firstAt = now();
      first(name);
    } else if (now() - firstAt > SAME_SIGNAL_MS) {
      second(name);
    }
  };
  for (const name of names) process.on(name, handle);
}
