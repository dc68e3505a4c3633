/** What is done from time to time, beside everything else. */

/**
 * Does something at once and then each `everyMs`, until `signal` aborts; never again before it has come to its end.
 * @param onError is told why it has failed; the next time is another attempt.
 */
export function regularly(
  everyMs: number,
  signal: AbortSignal,
  act: () => Promise<void>,
  onError: (error: unknown) => void = () => {},
): void {
  let isActing = false;
  const actOnce = async () => {
    if (isActing) return;
    isActing = true;
    try {
      await act();
    } catch (error) {
      if (!signal.aborted) onError(error);
    }
    isActing = false;
  };
  const timer = setInterval(actOnce, everyMs).unref();
  signal.addEventListener('abort', () => clearInterval(timer));
  void actOnce();
}
