/**
 * Who looks at the page. The server says whether it wants a token; then it is kept for this tab alone, and goes with
 * every request. `checking` → `out` | `in` | `failed`; a request that is refused for its token leads back to `out`.
 */
import { computed, signal } from '@preact/signals';
import { Refused, Shellvisor } from '../../src/client/index.ts';

export type SessionState = 'checking' | 'out' | 'in' | 'failed';
export type LoginProblem = 'unknown' | 'expired' | 'lacksRead';

const KEY = 'shellvisor.token';
const token = signal<string | undefined>(sessionStorage.getItem(KEY) ?? undefined);

export const state = signal<SessionState>('checking');
export const problem = signal<LoginProblem | undefined>(undefined);
/** What went wrong when the state is `failed`. */
export const failure = signal<unknown>(undefined);
export const hasToken = computed(() => token.value !== undefined);

export const client = computed(() => clientWith(token.value));
const clientWith = (token: string | undefined) => new Shellvisor({ url: location.origin, token });

/** Finds out whether the server lets us in as we are. */
export async function enter(): Promise<void> {
  state.value = 'checking';
  await tryWith(token.value);
}

/** Takes a token that a person has typed, if the server knows it. */
export function signIn(given: string): Promise<void> {
  return tryWith(given);
}

export function signOut(why?: LoginProblem): void {
  sessionStorage.removeItem(KEY);
  token.value = undefined;
  problem.value = why;
  state.value = 'out';
}

/** Waits for an answer; one that says that our token is not known any more ends the session. */
export async function withSession<Answer>(answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    if (isTokenProblem(error)) signOut(hasToken.value ? 'expired' : undefined);
    throw error;
  }
}

const isTokenProblem = (error: unknown) => error instanceof Refused && error.status === 401;

async function tryWith(given: string | undefined): Promise<void> {
  try {
    await clientWith(given).page({ limit: 1, fields: 'command_uuid' });
    if (given !== undefined) sessionStorage.setItem(KEY, given);
    token.value = given;
    problem.value = undefined;
    state.value = 'in';
  } catch (error) {
    if (isTokenProblem(error)) return signOut(given === undefined ? undefined : 'unknown');
    if (error instanceof Refused && error.code === 'SCOPE_MISSING') return signOut('lacksRead');
    failure.value = error;
    state.value = 'failed';
  }
}
