/** What the rest of the program sees of the actors: a `Commander`, and how to start and drain them. */
import { randomUUID } from 'node:crypto';
import { createActor, enqueueActions, fromPromise, type InspectionEvent, toPromise } from 'xstate';
import { ByteBudget } from '../byte-budget.ts';
import {
  type CallerName,
  type CommandRequest,
  type NewCommand,
  type RunOptions,
  type SecretEnv,
  STRINGS_MAX_BYTES,
  stringsBytes,
  type TerminalStatus,
} from '../command.ts';
import { within } from '../deadline.ts';
import {
  CommandElsewhere,
  CommandEnded,
  CommandNotFound,
  Draining,
  FolderRefused,
  OptionUnsupported,
  QueueFull,
  SecretsMismatch,
  SecretsStay,
  StopNotStored,
  StringsTooLarge,
  TimeoutTooLong,
} from '../errors.ts';
import type { Commander, Submission } from '../ports/commander.ts';
import type { Journal } from '../ports/journal.ts';
import type { NodeWork, SharedQueue } from '../ports/nodes.ts';
import type { ProcessRunner } from '../ports/process.ts';
import type { CommandReader } from '../ports/reader.ts';
import { admission } from '../transitions.ts';
import { type CommandResult, commandMachine, type StoreInput } from './command.ts';
import { createProcessLogic } from './process.ts';
import { recordTransitions } from './recording.ts';
import { type Admission, type CommandActor, type Limits, type Readmission, supervisorMachine } from './supervisor.ts';
import { WaitingSecrets } from './waiting-secrets.ts';

/** How long whoever stops a command waits for its outcome to be stored, in ms, once the command should have ended. */
const STORE_MS = 5000;
/** How much the scripts and stdins may take that are being stored: small requests can ask for large ones to run again. */
const STORING_MAX_BYTES = 256 * 1024 * 1024;
/** How much the secrets of waiting commands may take, in bytes. */
const SECRETS_MAX_BYTES = 64 * 1024 * 1024;

export interface CommanderOptions extends Limits {
  journal: Journal;
  reader: Pick<CommandReader, 'statusOf' | 'requestOf'>;
  runner: ProcessRunner;
  maxParallel: number;
  maxQueued: number;
  /** Where commands wait that any node may run; undefined: this server runs all of its own. */
  queue?: SharedQueue | undefined;
  /** Told of what should not happen: a bug, or an outcome that could not be stored. */
  onError: (message: string, uuid: string, error: unknown) => void;
  /** Sees all that goes on in the actors; must not throw, an exception would escape from `send`. */
  inspect?: ((event: InspectionEvent) => void) | undefined;
}

/** Where a command comes from. */
type Origin = Pick<NewCommand, 'rerunOf' | 'createdBy' | 'idempotency'>;

/** The commander and the life of its actors. */
export interface CommandSystem extends Commander {
  /** What this server does for the queue of all nodes. */
  readonly work: NodeWork;
  /** Admits commands that are stored as `QUEUED` already, in this order. */
  admit(commands: Iterable<Admission>): void;
  /** Goes on with commands whose scripts outlived the server before this one. */
  readmit(commands: Iterable<Readmission>): void;
  /** Takes nothing new, stops what executes, and resolves when all of that is stored. */
  drain(): Promise<void>;
}

/** Makes the root supervisor and starts it. */
export function createCommandSystem(options: CommanderOptions): CommandSystem {
  const { journal, reader, maxQueued, queue } = options;
  // Not in the context of an actor, which debugging may show.
  const secrets = new WaitingSecrets(SECRETS_MAX_BYTES);
  const commandLogic = commandMachine.provide({
    actors: {
      process: createProcessLogic(journal, options.runner, secrets),
      store: fromPromise<void, StoreInput>(async ({ input }) => {
        // Of one that was stopped before its turn.
        secrets.take(input.uuid);
        // Whoever takes over from us has it run again.
        if (input.runsAgain) return;
        await journal.finish(input.uuid, input.outcome, new Date());
        options.runner.forget(input.uuid);
      }),
    },
    actions: {
      releaseSlot: enqueueActions(({ context, enqueue }) => {
        enqueue.sendParent({ type: 'slot.released', uuid: context.uuid });
        // Behind the event.
        if (queue !== undefined) enqueue(() => setImmediate(() => queue.wake()));
      }),
      reportStoreFailure: ({ context }, { error }) =>
        options.onError('the outcome of a command could not be stored', context.uuid, error),
    },
  });
  const supervisor = createActor(
    supervisorMachine.provide({
      actions: { reportCrash: (_, { uuid, error }) => options.onError('a command actor failed', uuid, error) },
    }),
    {
      id: 'supervisor',
      input: {
        commandLogic: recordTransitions(commandLogic, (uuid, step) => journal.transition(uuid, step)),
        limits: {
          stopGraceMs: options.stopGraceMs,
          shutdownGraceMs: options.shutdownGraceMs,
          timeoutMs: options.timeoutMs,
          maxTimeoutMs: options.maxTimeoutMs,
        },
        maxParallel: options.maxParallel,
      },
      inspect: options.inspect,
    },
  );
  supervisor.start();
  const { commands, waiting, executing, maxParallel } = supervisor.getSnapshot().context;

  /** Commands that are being stored and have no actor yet. */
  const submissions = new Map<string, Promise<unknown>>();
  const storing = new ByteBudget(STORING_MAX_BYTES);
  const results = new WeakMap<CommandActor, Promise<CommandResult>>();

  /**
   * The end of an actor that is being stopped as a promise, one for all who wait: ten thousand stops share it. When it is
   * late they are refused, and whoever asks then waits anew; the stop goes on.
   */
  function resultOf(actor: CommandActor): Promise<CommandResult> {
    let result = results.get(actor);
    if (result === undefined) {
      const graceMs = executing.has(actor.id) ? options.stopGraceMs : 0;
      result = within(graceMs + STORE_MS, toPromise(actor), () => {
        results.delete(actor);
        return new StopNotStored();
      });
      results.set(actor, result);
    }
    return result;
  }

  /** Stops a command, if it has not ended, and tells how it ended. */
  async function stopAndLook(uuid: string, by: CallerName, kill = false): Promise<TerminalStatus> {
    await submissions.get(uuid);
    const actor = commands.get(uuid);
    if (actor !== undefined) {
      const result = resultOf(actor);
      supervisor.send({ type: 'stop', uuid, by, kill });
      const { status, stored } = await result;
      if (!stored) throw new Error('the outcome of the command could not be stored');
      return status;
    }
    const status = await reader.statusOf(uuid);
    if (status === null) throw new CommandNotFound();
    if (status !== 'QUEUED' && status !== 'EXECUTING') return status;
    if (queue === undefined) throw new CommandElsewhere();
    return queue.stop(uuid, by, kill, options.stopGraceMs + STORE_MS);
  }

  /** Refuses what this machine can't do; nodes that have the same label are alike. */
  function demandOptions(wanted: RunOptions): void {
    for (const [name, why] of Object.entries(options.runner.unsupported)) {
      if (wanted[name as keyof RunOptions] !== undefined) throw new OptionUnsupported(why);
    }
  }

  async function demandFolder(path: string): Promise<void> {
    const why = await options.runner.refuseFolder(path);
    if (why !== null) throw new FolderRefused(why);
  }

  /** Refuses a command that no node would ever take. */
  async function demandNode(label: string, forAnyNode: boolean): Promise<void> {
    if (queue === undefined) throw new OptionUnsupported('node places commands only where SHELLVISOR_CLUSTER is on');
    if (!forAnyNode && !queue.isOfKind(label)) throw new SecretsStay(label);
    await queue.demandKind(label);
  }

  /** Whether no more may wait, where so many do. */
  function isFull(ahead: number): boolean {
    const free = maxParallel - executing.size;
    return ahead + submissions.size - free >= maxQueued;
  }

  /** Stores a command and admits it. @returns its uuid; null when another command has its key. */
  async function store(
    { secretEnv, pinned = false, ...request }: CommandRequest,
    origin: Origin,
  ): Promise<string | null> {
    const { durable, options: runOptions, inputs } = request;
    const { maxTimeoutMs = Number.POSITIVE_INFINITY } = options;
    if ((runOptions.timeoutMs ?? 0) > maxTimeoutMs) throw new TimeoutTooLong(maxTimeoutMs);
    const forAnyNode = queue !== undefined && Object.keys(secretEnv).length === 0;
    if (!forAnyNode || queue.isOfKind(runOptions.nodeLabel)) demandOptions(runOptions);
    // Where it starts in the end it is looked at anyway.
    if (!forAnyNode && inputs.cwd !== undefined) await demandFolder(inputs.cwd);
    // Only then, or a drain that begins in this turn would come first.
    if (runOptions.nodeLabel !== undefined) await demandNode(runOptions.nodeLabel, forAnyNode);
    // Other nodes may have taken what was there when it was counted last.
    if (forAnyNode && isFull(queue.waiting)) await queue.countWaiting();
    if (!supervisor.getSnapshot().matches('accepting')) throw new Draining();
    if (isFull(forAnyNode ? queue.waiting : waiting.size)) throw new QueueFull();
    const bytes = request.script.length + (inputs.stdin?.length ?? 0);
    if (!secrets.hasRoomFor(secretEnv) || !storing.take(bytes)) throw new QueueFull();
    const uuid = randomUUID();
    const secretNames = Object.keys(secretEnv);
    const admit = () => {
      if (forAnyNode) return;
      secrets.keep(uuid, secretEnv);
      supervisor.send({ type: 'admit', uuid, durable, options: runOptions });
    };
    const command = { ...request, pinned, secretNames, uuid, createdAt: new Date(), forAnyNode, ...origin };
    const admitted = journal.insert(command, admit).then((isStored) => {
      if (isStored) admit();
      return isStored;
    });
    submissions.set(
      uuid,
      admitted.catch(() => {}),
    );
    try {
      return (await admitted) ? uuid : null;
    } finally {
      submissions.delete(uuid);
      storing.giveBack(bytes);
    }
  }

  /** What is to be run when a command is run again. */
  async function requestAgain(uuid: string, secretEnv: SecretEnv): Promise<CommandRequest> {
    const stored = await reader.requestOf(uuid);
    if (stored === null) throw new CommandNotFound();
    const { secretNames, ...request } = stored;
    const missing = secretNames.filter((name) => !Object.hasOwn(secretEnv, name));
    const unknown = Object.keys(secretEnv).filter((name) => !secretNames.includes(name));
    if (missing.length + unknown.length > 0) throw new SecretsMismatch(missing, unknown);
    if (stringsBytes(request.inputs, secretEnv) > STRINGS_MAX_BYTES) throw new StringsTooLarge(STRINGS_MAX_BYTES);
    return { ...request, secretEnv };
  }

  /** Creates a command, unless an earlier request with this key has, at whichever server. */
  async function once({ createdBy, idempotency }: Origin, create: () => Promise<string | null>): Promise<Submission> {
    for (;;) {
      const earlier = idempotency === undefined ? null : await journal.replay(idempotency, createdBy);
      if (earlier !== null) return { uuid: earlier, isReplay: true };
      const uuid = await create();
      if (uuid !== null) return { uuid, isReplay: false };
      // Another request with this key was quicker; should nothing have come of that, it is our turn again.
    }
  }

  function admitAll(commands: Iterable<Admission>): void {
    for (const command of commands) {
      journal.transition(command.uuid, admission('admit', Date.now()));
      supervisor.send({ type: 'admit', ...command });
    }
  }

  return {
    work: {
      freeSlots: () => maxParallel - executing.size - waiting.size,
      has: (uuid) => commands.has(uuid) || submissions.has(uuid),
      admit: admitAll,
      stop: (uuid, by, kill) => supervisor.send({ type: 'stop', uuid, by, kill }),
    },

    submit(request, createdBy, idempotency) {
      const origin = { rerunOf: null, createdBy, idempotency };
      return once(origin, () => store(request, origin));
    },

    rerun(original, secretEnv, createdBy, idempotency) {
      const origin = { rerunOf: original, createdBy, idempotency };
      return once(origin, async () => store(await requestAgain(original, secretEnv), origin));
    },

    async stop(uuid, by, kill) {
      const status = await stopAndLook(uuid, by, kill);
      if (status !== 'STOPPED') throw new CommandEnded(status);
    },

    async remove(uuid, by) {
      await stopAndLook(uuid, by);
      if (!(await journal.remove(uuid))) throw new CommandNotFound();
    },

    admit: admitAll,

    readmit(commands) {
      for (const command of commands) {
        journal.transition(command.uuid, admission('readmit', Date.now()));
        supervisor.send({ type: 'readmit', ...command });
      }
    },

    load: () => ({
      state: supervisor.getSnapshot().value,
      waiting: waiting.size + (queue?.waiting ?? 0),
      executing: executing.size,
      maxParallel,
      maxQueued,
      storing: commands.size - waiting.size - executing.size,
    }),

    async drain() {
      void queue?.rest();
      supervisor.send({ type: 'drain' });
      if (supervisor.getSnapshot().matches('drained')) return;
      await new Promise<void>((resolve) => {
        const subscription = supervisor.subscribe((snapshot) => {
          if (!snapshot.matches('drained')) return;
          subscription.unsubscribe();
          resolve();
        });
      });
    },
  };
}
