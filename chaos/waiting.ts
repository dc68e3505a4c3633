/** Bash that waits without a process of its own: `read -t` on a descriptor that gives nothing. */

/** Opens the descriptor. */
export const OPEN_WAIT = 'exec 5<> <(:)';

/** Waits so many ms. */
export const wait = (ms: number) => `read -t ${ms / 1000} -u 5`;
