/** Keys that make a request safe to send again, when its answer was lost on the way. */

const BYTES = 16;

/** `crypto.randomUUID` is not there on pages that came over plain HTTP. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(BYTES)), (byte) => byte.toString(16).padStart(2, '0')).join(
    '',
  );
}
