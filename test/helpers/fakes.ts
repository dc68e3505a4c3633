/** Fakes of the ports, driven by the test: nothing happens until the test says so. */
import type {
  CallerName,
  CommandRequest,
  Idempotency,
  NewCommand,
  Outcome,
  ProcessEnd,
  Progress,
  RunOptions,
  SecretEnv,
  Status,
  Stop,
  StoredRequest,
  Transition,
} from '../../src/command.ts';
import type { Begun, CommandOutput, Journal } from '../../src/ports/journal.ts';
import type { ProcessRunner, ProcessSpec, RunningProcess } from '../../src/ports/process.ts';

export const request: CommandRequest = {
  description: '',
  script: 'true',
  durable: false,
  options: {},
  inputs: {},
  secretEnv: {},
  labels: {},
};

/** A stop by somebody. */
export const stop: Stop = { reason: 'stop', by: 'ann' };

/** A process that the test starts and ends. */
export class FakeProcess implements RunningProcess {
  /** What was asked of it, in order. */
  readonly signals: string[] = [];
  readonly #started = Promise.withResolvers<number | null>();
  readonly #ended = Promise.withResolvers<{ end: ProcessEnd; durationMs: number | null }>();
  readonly started = this.#started.promise;
  readonly ended = this.#ended.promise;
  onProgress: RunningProcess['onProgress'] = () => {};

  start(pid: number | null = 4242): void {
    this.#started.resolve(pid);
  }
  end(end: ProcessEnd = { kind: 'exited', exitCode: 0 }): void {
    this.#started.resolve(4242);
    this.#ended.resolve({ end, durationMs: 5 });
  }
  terminate(): void {
    this.signals.push('terminate');
  }
  kill(): void {
    this.signals.push('kill');
  }
}

/** A runner whose processes the test finds by uuid. */
export class FakeRunner implements ProcessRunner {
  readonly processes = new Map<string, FakeProcess>();
  /** How each was to be run. */
  readonly options = new Map<string, RunOptions>();
  /** What each was given. */
  readonly secrets = new Map<string, SecretEnv>();
  readonly description = 'fake';
  readonly layers: readonly string[] = [];
  readonly warnings: readonly string[] = [];
  unsupported: ProcessRunner['unsupported'] = {};
  readonly living = new Map();
  /** The uuids of all starts, of all attachments and of all that was forgotten, in order. */
  readonly starts: string[] = [];
  readonly attachments: { uuid: string; from: number }[] = [];
  readonly forgotten: string[] = [];

  async refuseFolder(): Promise<string | null> {
    return null;
  }
  start({ uuid, options, secretEnv }: ProcessSpec): FakeProcess {
    const process = new FakeProcess();
    this.options.set(uuid, options);
    this.secrets.set(uuid, secretEnv);
    this.processes.set(uuid, process);
    this.starts.push(uuid);
    return process;
  }
  attach(uuid: string, from: number): FakeProcess {
    const process = new FakeProcess();
    this.processes.set(uuid, process);
    this.attachments.push({ uuid, from });
    return process;
  }
  forget(uuid: string): void {
    this.forgotten.push(uuid);
  }
  async killLeftovers(): Promise<number> {
    return 0;
  }
  process(uuid: string): FakeProcess {
    const process = this.processes.get(uuid);
    if (process === undefined) throw new Error(`no process was started for ${uuid}`);
    return process;
  }
}

const keyOf = ({ key }: Idempotency, by: CallerName) => JSON.stringify([by, key]);

/** A journal in memory that commits at once, unless the test holds it. */
export class FakeJournal implements Journal {
  readonly commands = new Map<
    string,
    {
      script: string;
      secretNames?: readonly string[];
      createdBy?: CallerName;
      status: Status;
      outcome?: Outcome;
      progress?: Progress;
    }
  >();
  /** The steps of all commands, in order. */
  readonly transitions: ({ uuid: string } & Transition)[] = [];
  /** While set, nothing commits before it resolves. */
  hold: Promise<void> | undefined;
  /** Resolves when each of them has printed more than is kept. */
  overLimit = new Promise<void>(() => {});
  /** Which command has which key of whom. */
  readonly keys = new Map<string, string>();
  /** What clients have sent, by uuid. */
  readonly requests = new Map<string, StoredRequest>();

  async insert(
    { uuid, script, secretNames, createdBy, idempotency }: NewCommand,
    _onKept?: () => void,
  ): Promise<boolean> {
    await this.hold;
    const key = idempotency && keyOf(idempotency, createdBy);
    if (key !== undefined && this.keys.has(key)) return false;
    if (key !== undefined) this.keys.set(key, uuid);
    this.commands.set(uuid, { script, secretNames, createdBy, status: 'QUEUED' });
    return true;
  }
  async replay(idempotency: Idempotency, by: CallerName): Promise<string | null> {
    return this.keys.get(keyOf(idempotency, by)) ?? null;
  }
  async begin(uuid: string): Promise<Begun | null> {
    await this.hold;
    const command = this.commands.get(uuid);
    if (command === undefined) return null;
    command.status = 'EXECUTING';
    const limit = { headBytes: 2 ** 40, tailBytes: 0 };
    const output = { upTo: 0, base: 0, limit };
    const { script, secretNames = [] } = command;
    return { script, inputs: {}, secretNames, output, waitsSince: Date.now() };
  }
  openOutput(): CommandOutput {
    const { overLimit } = this;
    return { write: () => true, full: () => {}, onDrain: () => {}, onCommitted: () => {}, overLimit };
  }
  transition(uuid: string, transition: Transition): void {
    this.transitions.push({ uuid, ...transition });
  }
  progress(uuid: string, progress: Progress): void {
    const command = this.commands.get(uuid);
    if (command !== undefined) command.progress = progress;
  }
  async finish(uuid: string, outcome: Outcome): Promise<void> {
    await this.hold;
    const command = this.commands.get(uuid);
    if (command === undefined) return;
    command.status = outcome.status;
    command.outcome = outcome;
  }
  async remove(uuid: string): Promise<boolean> {
    await this.hold;
    return this.commands.delete(uuid);
  }
  /** The reader's side. */
  async statusOf(uuid: string): Promise<Status | null> {
    return this.commands.get(uuid)?.status ?? null;
  }
  async requestOf(uuid: string): Promise<StoredRequest | null> {
    return this.requests.get(uuid) ?? null;
  }
}
