/** Waiting with a bound. */

/**
 * The result of a promise, or `late()` as a rejection when it takes longer than `ms`; what the promise stands for goes on.
 */
export async function within<T>(ms: number, promise: Promise<T>, late: () => Error): Promise<T> {
  const deadline = Promise.withResolvers<never>();
  // Looks once more at what has come: when our own event loop was blocked, the answer may well be there.
  const timer = setTimeout(() => setImmediate(() => deadline.reject(late())), ms);
  try {
    return await Promise.race([promise, deadline.promise]);
  } finally {
    clearTimeout(timer);
  }
}
