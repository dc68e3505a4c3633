/**
 * The client of shellvisor for programs. It needs nothing but `fetch`.
 *
 *     const shellvisor = new Shellvisor({ url: 'http://localhost:8080' });
 *     const { uuid } = await shellvisor.create({ script: 'make test' }, { durable: true });
 *     for await (const event of shellvisor.follow(uuid)) if (event.type === 'output') process.stdout.write(event.bytes);
 */
import { Refused, Unreachable } from './errors.ts';
import { follow, inspect, type StreamOptions, watch } from './follow.ts';
import type {
  Command,
  CommandEvent,
  CommandPage,
  ErrorAnswer,
  InspectEvent,
  ListEvent,
  NewCommand,
  Node,
  Pruned,
  Readiness,
  SupervisorStatechart,
  Transition,
} from './types.ts';

export interface ShellvisorOptions {
  /** Where the server is; `http://localhost:8080` unless given. */
  url?: string | undefined;
  /** Sent as bearer, where the server wants one. */
  token?: string | undefined;
  /** What sends the requests, in place of the global `fetch`: through a proxy, or to a Unix socket. */
  fetch?: typeof fetch | undefined;
}

export interface RepeatOptions {
  /** The same key and request again, within 24 hours, give the first answer again, and run nothing. */
  idempotencyKey?: string | undefined;
}

export interface CreateOptions extends RepeatOptions {
  /** Whether its output shows while it runs. */
  durable?: boolean;
}

export interface GetOptions {
  /** How long to wait for its end, in seconds. */
  wait?: number | undefined;
  /** `false`: without its output, which then is not read. */
  output?: boolean | undefined;
}

export interface RerunOptions extends RepeatOptions {
  /** The secrets that the command had: they are stored nowhere. */
  secretEnv?: Record<string, string> | undefined;
}

export interface StopOptions {
  /** Whether by SIGKILL at once, in place of SIGTERM and a grace; one that is ending already loses the rest of its grace. */
  kill?: boolean | undefined;
}

/** Which commands are listed: the parameters of `GET /api/v1/commands`, such as `status` and `limit`. */
export type ListQuery = Record<string, string | number | boolean | readonly string[] | undefined>;

export interface PruneOptions {
  /** Whether it is only told how many would be deleted. */
  dryRun?: boolean;
  /** When it aborts the server stops; what was deleted stays so. */
  signal?: AbortSignal;
}

export interface FollowOptions extends Partial<StreamOptions> {
  /** How long the server may be away, in ms; a minute unless given. */
  patienceMs?: number;
}

export interface FollowCommandOptions extends FollowOptions {
  /** Whether its steps through its statechart are told too. */
  steps?: boolean | undefined;
}

const DEFAULT_URL = 'http://localhost:8080';
const PATIENCE_MS = 60_000;

/** Each method throws `Refused` when the server says no, and `Unreachable` when none answers. */
export class Shellvisor {
  readonly url: string;
  readonly #headers: Record<string, string>;
  readonly #send: typeof fetch;

  /** @throws TypeError when the URL is none. */
  constructor({ url = DEFAULT_URL, token, fetch = globalThis.fetch }: ShellvisorOptions = {}) {
    this.url = new URL(url).href.replace(/\/+$/, '');
    // Browsers want theirs to be called as a function of the window.
    this.#send = (...args) => fetch(...args);
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  /** Stores a command, which runs as soon as a slot is free. */
  create(command: NewCommand, { durable = false, ...options }: CreateOptions = {}): Promise<{ uuid: string }> {
    return this.#post(durable ? '/api/v1/durables/commands' : '/api/v1/commands', command, options);
  }

  /** Stores a new command with all that this one was given. */
  rerun(uuid: string, { secretEnv, ...options }: RerunOptions = {}): Promise<{ uuid: string }> {
    return this.#post(`${pathOf(uuid)}/rerun`, { secret_env: secretEnv }, options);
  }

  /** Looks at a command. */
  get(uuid: string, { wait, output }: GetOptions = {}): Promise<Command> {
    return this.#json(`${pathOf(uuid)}${queryOf({ wait, output })}`);
  }

  /** The bytes that it has printed so far, as they are, of both streams in the order in which they came. */
  async output(uuid: string): Promise<Blob> {
    const response = await this.#fetch(`${pathOf(uuid)}/output`);
    return response.blob().catch((error) => {
      throw new Unreachable(this.url, error);
    });
  }

  /** The steps that a command took through its statechart, oldest first. */
  transitions(uuid: string): Promise<Transition[]> {
    return this.#json(`${pathOf(uuid)}/transitions`);
  }

  /** Lists commands, newest first. */
  list(query: ListQuery = {}): Promise<Command[]> {
    return this.#json(`/api/v1/commands${queryOf(query)}`);
  }

  /**
   * One page of the list, newest first, and where the next one begins: its `cursor`, for the same filters. With
   * `fields` or `output` in the query some fields are missing.
   */
  async page(query: ListQuery = {}): Promise<CommandPage> {
    const response = await this.#fetch(`/api/v1/commands${queryOf(query)}`);
    const next = /<([^>]*)>; rel="next"/.exec(response.headers.get('link') ?? '')?.[1];
    const total = response.headers.get('x-total-count');
    return {
      commands: await this.#bodyOf(response),
      cursor: next === undefined ? undefined : (new URL(next, this.url).searchParams.get('cursor') ?? undefined),
      total: total === null ? undefined : Number(total),
    };
  }

  /** What happens to a command, until it ends; goes on by itself when the connection breaks or the server restarts. */
  follow(
    uuid: string,
    { patienceMs = PATIENCE_MS, steps, ...options }: FollowCommandOptions = {},
  ): AsyncGenerator<CommandEvent> {
    const path = `${pathOf(uuid)}/output${queryOf({ steps })}`;
    return follow(this.#events(path, options.signal), { patienceMs, ...options });
  }

  /**
   * What becomes of all commands, without an end; goes on by itself like `follow`. `start` comes first, and `reset` where
   * something was missed: look at the list then.
   */
  watch({ patienceMs = PATIENCE_MS, ...options }: FollowOptions = {}): AsyncGenerator<ListEvent> {
    return watch(this.#events('/api/v1/events', options.signal), { patienceMs, ...options });
  }

  /**
   * What happens in the actors of a server with `SHELLVISOR_INSPECT=1`, without an end. Where the connection broke off, the
   * server was away, or we were too slow for it, `start` comes again: what happened meanwhile is not told.
   */
  inspect({ patienceMs = PATIENCE_MS, ...options }: FollowOptions = {}): AsyncGenerator<InspectEvent> {
    return inspect(this.#events('/manage/inspect', options.signal), { patienceMs, ...options });
  }

  /** Stops a command; resolves once nothing of it lives. */
  async stop(uuid: string, { kill }: StopOptions = {}): Promise<void> {
    await this.#json(`${pathOf(uuid)}${queryOf({ kill })}`, { method: 'PATCH' });
  }

  /** Deletes a command with its output, stopping it first when it runs. */
  async remove(uuid: string): Promise<void> {
    await this.#fetch(pathOf(uuid), { method: 'DELETE' });
  }

  /** Deletes all commands of some filters, those of `list`, that have ended and are not pinned. */
  prune(filters: ListQuery, { dryRun, signal }: PruneOptions = {}): Promise<Pruned> {
    const query = queryOf({ ...filters, dry_run: dryRun });
    return this.#json(`/api/v1/commands${query}`, { method: 'DELETE', ...(signal !== undefined && { signal }) });
  }

  /** Pins a command: it stays when many are deleted. */
  async pin(uuid: string): Promise<void> {
    await this.#fetch(`${pathOf(uuid)}/pin`, { method: 'PUT' });
  }

  /** Takes the pin off a command. */
  async unpin(uuid: string): Promise<void> {
    await this.#fetch(`${pathOf(uuid)}/pin`, { method: 'DELETE' });
  }

  /** Whether the server can take commands, and how much there is to do; told by one that can't, too. */
  async readiness(): Promise<Readiness> {
    return this.#bodyOf(await this.#fetch('/manage/ready', {}, ({ ok, status }) => ok || status === 503));
  }

  /** The figures of the server since its start, in the text format of Prometheus. */
  async metrics(): Promise<string> {
    const response = await this.#fetch('/manage/metrics');
    return response.text().catch((error) => {
      throw new Unreachable(this.url, error);
    });
  }

  /** The machine that admits commands and holds the slots. */
  supervisor(): Promise<SupervisorStatechart> {
    return this.#json('/manage/statechart');
  }

  /** The servers that share the work, and those that did until a day ago, oldest first. */
  nodes(): Promise<Node[]> {
    return this.#json('/manage/nodes');
  }

  /**
   * Has a node take no more commands: what it runs goes on to its end. @param id that of `nodes`; `self`: the one that answers,
   * which behind a load balancer is any.
   */
  async drain(id: string): Promise<void> {
    await this.#fetch(drainOf(id), { method: 'POST' });
  }

  /** Has a node take commands again. */
  async undrain(id: string): Promise<void> {
    await this.#fetch(drainOf(id), { method: 'DELETE' });
  }

  #post(path: string, body: object, { idempotencyKey }: RepeatOptions): Promise<{ uuid: string }> {
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (idempotencyKey !== undefined) headers['idempotency-key'] = idempotencyKey;
    return this.#json(path, { method: 'POST', headers, body: JSON.stringify(body) });
  }

  #events(path: string, signal: AbortSignal | undefined) {
    return (lastId: string | undefined) =>
      this.#fetch(path, {
        headers: { accept: 'text/event-stream', ...(lastId !== undefined && { 'last-event-id': lastId }) },
        ...(signal !== undefined && { signal }),
      });
  }

  async #json<Answer>(path: string, init?: RequestInit): Promise<Answer> {
    return this.#bodyOf(await this.#fetch(path, init));
  }

  async #bodyOf<Answer>(response: Response): Promise<Answer> {
    return (await response.json().catch((error) => {
      throw new Unreachable(this.url, error);
    })) as Answer;
  }

  async #fetch(path: string, init: RequestInit = {}, isAnswer = ({ ok }: Response) => ok): Promise<Response> {
    const headers = { ...this.#headers, ...init.headers };
    const response = await this.#send(this.url + path, { ...init, headers }).catch((error) => {
      throw init.signal?.aborted ? error : new Unreachable(this.url, error);
    });
    if (isAnswer(response)) return response;
    throw new Refused(response.status, await errorOf(response));
  }
}

const pathOf = (uuid: string) => `/api/v1/commands/${encodeURIComponent(uuid)}`;

const drainOf = (id: string) => `/manage/nodes/${encodeURIComponent(id)}/drain`;

function queryOf(query: ListQuery): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value])
      if (each !== undefined) parameters.append(name, `${each}`);
  }
  return parameters.size === 0 ? '' : `?${parameters}`;
}

/** What stands in the way may answer with something of its own. */
async function errorOf(response: Response): Promise<ErrorAnswer> {
  const answer = (await response.json().catch(() => null)) as Partial<ErrorAnswer> | null;
  if (typeof answer?.error === 'string' && typeof answer.code === 'string') return answer as ErrorAnswer;
  return { error: `the server answered ${response.status} ${response.statusText}`.trim(), code: 'UNKNOWN' };
}
