/** What can go wrong for a client. */
import type { ErrorAnswer } from './types.ts';

/** The server refused a request. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly status: number;
  /** For programs: a code such as `COMMAND_NOT_FOUND`. */
  readonly code: string;
  readonly details: NonNullable<ErrorAnswer['details']>;

  constructor(status: number, { error, code, details = [] }: ErrorAnswer) {
    super(error);
    this.status = status;
    this.code = code;
    this.details = details;
  }

  /** Whether the same request may succeed in a while. */
  get mayPass(): boolean {
    return this.status === 503 || this.status === 429;
  }
}

/** No server answered, or its answer broke off. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';

  constructor(url: string, cause: unknown) {
    const { message, cause: inner } = cause as Error;
    super(`no server answers at ${url}: ${(inner as Error | undefined)?.message || message}`, { cause });
  }
}
