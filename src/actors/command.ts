/**
 * The machine of one command, from its slot in the queue to its stored outcome.
 *
 * Invariants:
 * - bash is started at most once, and not at all when the stop came first.
 * - The stop ladder runs once: the first of `stop`, timeout and `process.overflowed` leads to `terminating`, all later
 *   ones change nothing. `kill` goes to its end at once, from wherever the command is: as the first of them, or to cut the
 *   grace of another one short, which stays the reason.
 * - A final state is entered only after the outcome is committed.
 */
import { assign, fromCallback, fromPromise, type SnapshotFrom, sendTo, setup } from 'xstate';
import {
  MAX_TIMER_MS,
  type Outcome,
  outcomeOf,
  type ProcessEnd,
  type RunOptions,
  type Stop,
  type StoredOutput,
  type TerminalStatus,
} from '../command.ts';
import type { ProcessCommand, ProcessEvent, ProcessInput } from './process.ts';
import { stateOf } from './words.ts';

export interface CommandInput {
  uuid: string;
  durable: boolean;
  options: RunOptions;
  /** From SIGTERM to SIGKILL, in ms. */
  stopGraceMs: number;
  /** The same when the whole server shuts down, in ms. */
  shutdownGraceMs: number;
  /** How long it may run, in ms. */
  timeoutMs: number | undefined;
}

/** Where to go on with a script that outlived the server. */
export interface Resumption {
  stored: StoredOutput;
  /** How long it has been running, in ms. */
  elapsedMs: number;
}

export interface CommandContext extends CommandInput {
  /** Why it is to end, once somebody wants that. */
  stop: Stop | null;
  /** From SIGTERM to SIGKILL for that stop, in ms. */
  graceMs: number;
  pid: number | null;
  /** Set when the script was there before this actor. */
  stored: StoredOutput | null;
  outcome: Outcome | null;
  /** Whether it is to run again: it was lost, its client wants that then, and nobody has stopped it. */
  runsAgain: boolean;
}

/** A stop, of which a server before this one may have begun the grace. */
export interface StopRequest extends Stop {
  /** What is left of the grace, in ms; unless given all of it. */
  graceMs?: number | undefined;
}

/**
 * `start`: a slot is free. `resume`: its script lives already. `stop`: somebody wants it to end. `kill`: somebody wants
 * it to end without a grace.
 */
export type CommandEvent =
  | { type: 'start' }
  | ({ type: 'resume' } & Resumption)
  | ({ type: 'stop' } & StopRequest)
  | ({ type: 'kill' } & Stop)
  | ProcessEvent;

/** What the actor leaves behind. `stored` is false when the outcome could not be written. */
export interface CommandResult {
  uuid: string;
  status: TerminalStatus;
  stored: boolean;
}

export interface StoreInput {
  uuid: string;
  outcome: Outcome;
  /** Whether it was lost, and its client wants it to run again then: so this is not its outcome. */
  runsAgain: boolean;
}

const notStarted: ProcessEnd = { kind: 'not_started' };

const NOBODY: Stop = { reason: 'stop', by: null };

function notProvided(name: string): never {
  throw new Error(`${name} was not provided to the command machine`);
}

/**
 * The machine without effects: `process` and `store` are provided by whoever creates the actor, see `supervisor.ts`.
 */
export const commandMachine = setup({
  types: {
    context: {} as CommandContext,
    events: {} as CommandEvent,
    input: {} as CommandInput,
    output: {} as CommandResult,
  },
  actors: {
    /** Owns the process tree; see `process.ts`. */
    process: fromCallback<ProcessCommand, ProcessInput>(() => notProvided('process')),
    /** Commits the outcome behind the last of the output. */
    store: fromPromise<void, StoreInput>(() => notProvided('store')),
  },
  delays: {
    grace: ({ context }) => context.graceMs,
    // Without a timeout the guard stops it.
    timeout: ({ context }) => context.timeoutMs ?? MAX_TIMER_MS,
  },
  guards: {
    hasTimeout: ({ context }) => context.timeoutMs !== undefined,
    isUnstopped: ({ context }) => context.stop === null,
    isExecuted: ({ context }) => context.outcome?.status === 'EXECUTED',
    isStopped: ({ context }) => context.outcome?.status === 'STOPPED',
  },
  actions: {
    /** The time it may run goes on from where it was. */
    recordResumption: assign(({ context }, { stored, elapsedMs }: Resumption) => ({
      stored,
      timeoutMs: context.timeoutMs === undefined ? undefined : Math.max(0, context.timeoutMs - elapsedMs),
    })),
    recordPid: assign({ pid: (_, params: { pid: number | null }) => params.pid }),
    recordStop: assign(({ context }, { reason, by, graceMs }: StopRequest) => ({
      stop: { reason, by },
      graceMs: graceMs ?? (reason === 'shutdown' ? context.shutdownGraceMs : context.stopGraceMs),
    })),
    recordOutcome: assign({
      outcome: ({ context }, params: { end: ProcessEnd; durationMs: number | null }) =>
        outcomeOf(params.end, context.stop, params.durationMs),
      runsAgain: ({ context: { options, stop } }, { end }) =>
        // Who has stopped it is told that it has ended.
        end.kind === 'lost' && options.rerunWhenLost === true && (stop === null || stop.reason === 'shutdown'),
    }),
    forgetOutcome: assign({ outcome: null }),
    /** SIGTERM to the process group. */
    terminate: sendTo(
      'process',
      ({ context }): ProcessCommand => ({
        type: 'terminate',
        stop: context.stop ?? NOBODY,
        graceMs: context.graceMs,
      }),
    ),
    /** SIGKILL to the whole process tree. */
    kill: sendTo('process', ({ context }): ProcessCommand => ({ type: 'kill', stop: context.stop ?? NOBODY })),
    /** Gives the slot back to the supervisor. */
    releaseSlot: () => {},
    /** Tells the log that the outcome could not be stored. */
    reportStoreFailure: (_, _params: { error: unknown }) => {},
  },
}).createMachine({
  id: 'command',
  context: ({ input }) => ({
    ...input,
    stop: null,
    graceMs: 0,
    pid: null,
    stored: null,
    outcome: null,
    runsAgain: false,
  }),
  initial: 'queued',
  states: {
    queued: {
      on: {
        start: 'executing',
        resume: {
          target: 'executing.attaching',
          actions: { type: 'recordResumption', params: ({ event }) => event },
        },
        stop: {
          target: 'storing',
          actions: [
            { type: 'recordStop', params: ({ event }) => event },
            { type: 'recordOutcome', params: { end: notStarted, durationMs: null } },
          ],
        },
        kill: {
          target: 'storing',
          actions: [
            { type: 'recordStop', params: ({ event }) => event },
            { type: 'recordOutcome', params: { end: notStarted, durationMs: null } },
          ],
        },
      },
    },
    executing: {
      // Invoked here, so that the process outlives the steps of the ladder.
      invoke: {
        id: 'process',
        src: 'process',
        input: ({ context }) => ({
          uuid: context.uuid,
          durable: context.durable,
          options: context.options,
          stored: context.stored,
        }),
      },
      exit: 'releaseSlot',
      on: {
        'process.ended': {
          target: 'storing',
          actions: {
            type: 'recordOutcome',
            params: ({ event }) => ({ end: event.end, durationMs: event.durationMs }),
          },
        },
        stop: {
          guard: 'isUnstopped',
          target: '.terminating',
          actions: { type: 'recordStop', params: ({ event }) => event },
        },
        kill: {
          guard: 'isUnstopped',
          target: '.killing',
          actions: { type: 'recordStop', params: ({ event }) => event },
        },
        'process.overflowed': {
          guard: 'isUnstopped',
          target: '.terminating',
          actions: { type: 'recordStop', params: { reason: 'output_limit', by: null } },
        },
      },
      initial: 'starting',
      states: {
        starting: {
          on: {
            'process.started': {
              target: 'running',
              actions: { type: 'recordPid', params: ({ event }) => ({ pid: event.pid }) },
            },
          },
        },
        attaching: {
          on: {
            'process.started': {
              target: 'running',
              actions: { type: 'recordPid', params: ({ event }) => ({ pid: event.pid }) },
            },
          },
        },
        running: {
          after: {
            timeout: {
              guard: 'hasTimeout',
              target: 'terminating',
              actions: { type: 'recordStop', params: { reason: 'timeout', by: null } },
            },
          },
        },
        terminating: {
          entry: 'terminate',
          on: { kill: 'killing' },
          after: { grace: 'killing' },
        },
        killing: {
          entry: 'kill',
        },
      },
    },
    storing: {
      invoke: {
        src: 'store',
        input: ({ context: { uuid, outcome, runsAgain } }) => ({ uuid, outcome: outcome as Outcome, runsAgain }),
        onDone: [
          { guard: 'isExecuted', target: 'executed' },
          { guard: 'isStopped', target: 'stopped' },
          { target: 'failed' },
        ],
        onError: {
          target: 'failed',
          actions: [{ type: 'reportStoreFailure', params: ({ event }) => ({ error: event.error }) }, 'forgetOutcome'],
        },
      },
    },
    executed: { type: 'final' },
    failed: { type: 'final' },
    stopped: { type: 'final' },
  },
  output: ({ context }) => ({
    uuid: context.uuid,
    status: context.outcome?.status ?? 'FAILED',
    stored: context.outcome !== null,
  }),
});

/** How long a command stays where it is at most, in ms; undefined: no timer of its machine ends that. */
export function timerOf({ value, context }: Pick<SnapshotFrom<typeof commandMachine>, 'value' | 'context'>) {
  switch (stateOf(value)) {
    case 'executing.running':
      return context.timeoutMs;
    case 'executing.terminating':
      return context.graceMs;
    default:
      return undefined;
  }
}
