/**
 * Errors that a user can meet. Each carries a stable `code` for programs and a message for people;
 * `app.ts` turns them into HTTP answers, `server.ts` into one line on the terminal.
 */

/** An error of the domain, answered to the client as it is. */
export abstract class DomainError extends Error {
  abstract readonly code: string;
  /** The HTTP status code it is answered with. */
  abstract readonly statusCode: number;
  /** Seconds after which the client may try again, where that makes sense. */
  readonly retryAfterSeconds: number | undefined = undefined;
}

export class CommandNotFound extends DomainError {
  readonly code = 'COMMAND_NOT_FOUND';
  readonly statusCode = 404;
  constructor() {
    super('there is no command with this uuid');
  }
}

/** A stop came for a command that had already ended by itself. */
export class CommandEnded extends DomainError {
  readonly code = 'COMMAND_ENDED';
  readonly statusCode = 409;
  constructor(status: string) {
    super(`the command has already ended as ${status}`);
  }
}

/** The command waits or runs under another server that uses the same database. */
export class CommandElsewhere extends DomainError {
  readonly code = 'COMMAND_ELSEWHERE';
  readonly statusCode = 409;
  constructor() {
    super('the command belongs to another server on the same database; ask that one');
  }
}

/** A command wants a kind of node that there is none of. */
export class NodeUnknown extends DomainError {
  readonly code = 'NODE_UNKNOWN';
  readonly statusCode = 400;
  /** @param known the labels that nodes have. */
  constructor(label: string, known: readonly string[]) {
    const those = known.length === 0 ? 'none has any label' : `there are ${inShort(known)}`;
    super(`no node has the label ${label}; ${those}`);
  }
}

/** A command wants a kind of node, and has secrets, which only the node that got them knows. */
export class SecretsStay extends DomainError {
  readonly code = 'SECRETS_STAY';
  readonly statusCode = 400;
  constructor(label: string) {
    super(
      `a command with secret_env runs on the node that it is sent to, since its values are stored nowhere; send it to one with the label ${label}`,
    );
  }
}

export class NodeNotFound extends DomainError {
  readonly code = 'NODE_NOT_FOUND';
  readonly statusCode = 404;
  constructor() {
    super('there is no node with this id that has not left; GET /manage/nodes lists them');
  }
}

/** There is only this server. */
export class ClusterOff extends DomainError {
  readonly code = 'CLUSTER_OFF';
  readonly statusCode = 404;
  constructor() {
    super('this server shares its work with no others: it runs without SHELLVISOR_CLUSTER=on');
  }
}

/** An `Idempotency-Key` came again with a request that is not the first one. */
export class IdempotencyKeyReused extends DomainError {
  readonly code = 'IDEMPOTENCY_KEY_REUSED';
  readonly statusCode = 409;
  constructor() {
    super('this Idempotency-Key came with another request within the last 24 hours; take a new key for a new request');
  }
}

/** A command is to be run again, and its secrets do not come with the request. */
export class SecretsMismatch extends DomainError {
  readonly code = 'SECRETS_MISMATCH';
  readonly statusCode = 400;
  /** @param missing which of its secrets are not given. @param unknown which of those given it does not have. */
  constructor(missing: readonly string[], unknown: readonly string[]) {
    super(
      missing.length > 0
        ? `secret_env must give ${inShort(missing)} again: the values of its secrets are stored nowhere`
        : `secret_env must not give ${inShort(unknown)}: the command has no such secret`,
    );
  }
}

/** Names in a sentence; each may be as long as a client likes. */
const inShort = (names: readonly string[]) => names.join(', ').slice(0, 200);

/** Variables, secrets and arguments are too much together. */
export class StringsTooLarge extends DomainError {
  readonly code = 'INVALID_REQUEST';
  readonly statusCode = 400;
  constructor(maxBytes: number) {
    super(`env, secret_env and args together must be at most ${maxBytes} bytes long, 8 more counted for each text`);
  }
}

/** No byte of the output lies in the range that the client asks for. */
export class RangeNotSatisfiable extends DomainError {
  readonly code = 'RANGE_NOT_SATISFIABLE';
  readonly statusCode = 416;
  constructor(length: number) {
    super(`the output has ${length} bytes; the range lies behind them`);
  }
}

/** Somebody wants to see what happens in the actors of a server that was not started for that. */
export class InspectionOff extends DomainError {
  readonly code = 'INSPECTION_OFF';
  readonly statusCode = 404;
  constructor() {
    super('nothing is to be seen of the actors here: start the server with SHELLVISOR_INSPECT=1');
  }
}

/** Whoever follows the actors takes so little of it that he was left behind. */
export class InspectorTooSlow extends Error {
  constructor() {
    super('too much has happened in the actors that was not taken');
  }
}

/** A cursor that no list with these filters has given. */
export class BadCursor extends DomainError {
  readonly code = 'BAD_CURSOR';
  readonly statusCode = 400;
  constructor() {
    super('cursor must be one that a list with the same filters has given');
  }
}

export class ScriptTooLarge extends DomainError {
  readonly code = 'SCRIPT_TOO_LARGE';
  readonly statusCode = 413;
  constructor(maxBytes: number) {
    super(`script must be at most ${maxBytes} bytes long`);
  }
}

export class TimeoutTooLong extends DomainError {
  readonly code = 'TIMEOUT_TOO_LONG';
  readonly statusCode = 400;
  constructor(maxMs: number) {
    super(`timeout_ms must be at most ${maxMs}, the maximum of this server`);
  }
}

/** The client wants something that this machine can't do. */
export class OptionUnsupported extends DomainError {
  readonly code = 'OPTION_UNSUPPORTED';
  readonly statusCode = 400;
}

/** The script can't start in the folder that the client wants. */
export class FolderRefused extends DomainError {
  readonly code = 'CWD_REFUSED';
  readonly statusCode = 400;
}

export class QueueFull extends DomainError {
  readonly code = 'QUEUE_FULL';
  readonly statusCode = 429;
  override readonly retryAfterSeconds = 1;
  constructor() {
    super('too many commands are waiting; try again later');
  }
}

export class Draining extends DomainError {
  readonly code = 'DRAINING';
  readonly statusCode = 503;
  override readonly retryAfterSeconds = 5;
  constructor() {
    super('the server is shutting down and takes no new commands');
  }
}

/** The database did not commit in time; the request had no effect. */
export class StorageUnavailable extends DomainError {
  readonly code = 'STORAGE_UNAVAILABLE';
  readonly statusCode = 503;
  override readonly retryAfterSeconds = 1;
  constructor(message = 'the database does not answer; nothing was stored, try again later') {
    super(message);
  }
}

/** A stop whose outcome was not stored in time. The command is stopped all the same. */
export class StopNotStored extends StorageUnavailable {
  constructor() {
    super('the command is being stopped, but that is not stored yet; ask again later');
  }
}

/** A deletion that the database did not confirm in time. */
export class DeletionInDoubt extends StorageUnavailable {
  constructor() {
    super('the database does not answer; the command may be deleted or not, ask again later');
  }
}

/** A change of a pin that the database did not confirm in time. */
export class PinInDoubt extends StorageUnavailable {
  constructor() {
    super('the database does not answer; the pin may be changed or not, send it again later');
  }
}

/** Many commands were to be deleted, and no filter says which. */
export class FilterRequired extends DomainError {
  readonly code = 'FILTER_REQUIRED';
  readonly statusCode = 400;
  constructor(filters: readonly string[]) {
    super(`which commands are to be deleted must be said by at least one of ${filters.join(', ')}`);
  }
}

/** The server ends, or the client is gone, before all was deleted that a filter means. */
export class PruneBrokenOff extends DomainError {
  readonly code = 'DRAINING';
  readonly statusCode = 503;
  override readonly retryAfterSeconds = 5;
  constructor(deleted: number) {
    super(`the server is shutting down; ${deleted} commands are deleted, send it again for the others`);
  }
}

/** The database has failed before all was deleted that a filter means. */
export class PruneInDoubt extends StorageUnavailable {
  constructor(deleted: number) {
    super(
      `the database does not answer; ${deleted} commands are deleted, perhaps more; send it again later for the others`,
    );
  }
}

/** A token is wanted, and none that is known came with the request. */
export class TokenRequired extends DomainError {
  readonly code = 'UNAUTHORIZED';
  readonly statusCode = 401;
  constructor(isGiven: boolean) {
    super(
      isGiven
        ? 'this token is not known here'
        : 'a token is needed, in a header such as: Authorization: Bearer shv_…; who runs the server makes them',
    );
  }
}

/** The token that came is not good for this. */
export class ScopeMissing extends DomainError {
  readonly code = 'SCOPE_MISSING';
  readonly statusCode = 403;
  constructor(name: string, scope: string) {
    super(`the token ${name} does not have the scope ${scope}, which this needs`);
  }
}

/** The request was sent to a name that this server does not go by. */
export class HostRefused extends DomainError {
  readonly code = 'HOST_REFUSED';
  readonly statusCode = 403;
  /** @param host the `Host` header. */
  constructor(host: string) {
    super(
      `this server does not go by the name ${JSON.stringify(host.slice(0, 100))}; ` +
        'who runs it can add it to SHELLVISOR_ALLOWED_HOSTS',
    );
  }
}

/** A browser sends it for a page that is not ours. */
export class OriginRefused extends DomainError {
  readonly code = 'ORIGIN_REFUSED';
  readonly statusCode = 403;
  constructor() {
    super('pages of other origins may not talk to this server');
  }
}

/** A caller has sent more than he may in a minute. */
export class RateLimited extends DomainError {
  readonly code = 'RATE_LIMITED';
  readonly statusCode = 429;
  override readonly retryAfterSeconds: number;
  constructor(perMinute: number, retryAfterSeconds: number) {
    super(`more than ${perMinute} requests a minute; try again later`);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** Large requests and answers take all the memory that they may; the request had no effect. */
export class Overloaded extends DomainError {
  readonly code = 'OVERLOADED';
  readonly statusCode = 503;
  override readonly retryAfterSeconds = 1;
  constructor() {
    super('the server is busy with other large requests or answers; nothing was done, try again later');
  }
}

/** A client has as many streams and waits open as it may. */
export class TooManyStreams extends DomainError {
  readonly code = 'TOO_MANY_STREAMS';
  readonly statusCode = 429;
  override readonly retryAfterSeconds = 1;
  constructor(max: number) {
    super(`this client has ${max} streams and waits open, and may have no more; end one of them`);
  }
}

export class HeadersTooLarge extends DomainError {
  readonly code = 'HEADERS_TOO_LARGE';
  readonly statusCode = 431;
  constructor(max: number) {
    super(`a request may have at most ${max} headers`);
  }
}

export class UrlTooLong extends DomainError {
  readonly code = 'URL_TOO_LONG';
  readonly statusCode = 414;
  constructor(max: number) {
    super(`the URL must be at most ${max} characters long`);
  }
}

/** The server can't start. The message is one line, complete, for the person at the terminal. */
export class StartupError extends Error {}

/** The other nodes have given this one up while it did not answer: it can only begin anew, as another one. */
export class NodeFenced extends StartupError {
  constructor() {
    super(
      'the other nodes have given this one up, since it did not answer for a while; what it ran is not its own any more',
    );
  }
}
