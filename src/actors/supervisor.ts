/**
 * The root actor: admits commands, holds the slots, drains at shutdown.
 *
 *   accepting ── drain ──▶ draining ── no command executes or is being stored ──▶ drained
 *
 * Invariants:
 * - At most `maxParallel` commands execute at once; a slot is taken before `start` is sent and given back when the
 *   command leaves `executing`. Waiting commands start in the order in which they were admitted.
 * - Each admitted command has one actor, found by its uuid, until its outcome is stored.
 * - In `draining` nothing starts; waiting commands stay `QUEUED` in the database for the next server.
 *
 * The actors of commands are kept in a Map of our own, beside XState's `children`: XState copies `children` at each
 * `spawnChild` and `stopChild`, which at 20,000 live actors costs 7 ms each. `createActor` with `parent` costs
 * 0.03 ms at any number, and its done events still reach this machine.
 */
import { type ActorRefFrom, createActor, type DoneActorEvent, type ErrorActorEvent, raise, setup } from 'xstate';
import type { CallerName, RunOptions, Stop } from '../command.ts';
import type { CommandInput, CommandResult, commandMachine, Resumption } from './command.ts';
import { Fifo } from './fifo.ts';

export type CommandActor = ActorRefFrom<typeof commandMachine>;

/** What the server sets for every command. */
export interface Limits extends Pick<CommandInput, 'stopGraceMs' | 'shutdownGraceMs'> {
  /** How long a command may run that does not say so itself, in ms. */
  timeoutMs: number | undefined;
  /** How long any command may run, in ms; one that was stored under a server with a larger maximum too. */
  maxTimeoutMs: number | undefined;
}

export interface SupervisorInput {
  /** The command machine with its effects provided. */
  commandLogic: typeof commandMachine;
  limits: Limits;
  maxParallel: number;
}

/** The registry is mutable and shared by reference, for the reason given above; only this machine's actions write it. */
export interface SupervisorContext extends SupervisorInput {
  /** All live command actors by uuid. */
  commands: Map<string, CommandActor>;
  waiting: Fifo<string>;
  /** Who holds a slot. */
  executing: Set<string>;
}

export interface Admission {
  uuid: string;
  durable: boolean;
  options: RunOptions;
}

/** A command whose script outlived the server before this one. */
export interface Readmission extends Admission, Resumption {
  /** Why it was ending meanwhile, if it was. */
  stop: Stop | null;
  /** What is left of the grace of that stop, in ms; undefined: all of it. */
  graceMs?: number | undefined;
  /** Whether SIGKILL was asked for already. */
  isKilled?: boolean | undefined;
}

export type SupervisorEvent =
  /** A stored command is to be run. */
  | ({ type: 'admit' } & Admission)
  /** A command that executes already is to be followed. */
  | ({ type: 'readmit' } & Readmission)
  /** With `kill` without a grace, or without the rest of one. */
  | { type: 'stop'; uuid: string; by: CallerName; kill: boolean }
  /** A command actor has left `executing`. */
  | { type: 'slot.released'; uuid: string }
  | { type: 'drain' }
  | DoneActorEvent<CommandResult>
  | ErrorActorEvent;

function timeoutOf(options: RunOptions, limits: Limits): number | undefined {
  const wanted = options.timeoutMs ?? limits.timeoutMs;
  if (wanted === undefined || limits.maxTimeoutMs === undefined) return wanted ?? limits.maxTimeoutMs;
  return Math.min(wanted, limits.maxTimeoutMs);
}

export const supervisorMachine = setup({
  types: {
    context: {} as SupervisorContext,
    events: {} as SupervisorEvent,
    input: {} as SupervisorInput,
  },
  guards: {
    isDrained: ({ context }) => context.commands.size === context.waiting.size,
  },
  actions: {
    createCommand: ({ context, self }, { uuid, durable, options }: Admission) => {
      const { stopGraceMs, shutdownGraceMs } = context.limits;
      const timeoutMs = timeoutOf(options, context.limits);
      const input = { uuid, durable, options, stopGraceMs, shutdownGraceMs, timeoutMs };
      const actor = createActor(context.commandLogic, { parent: self, id: uuid, input });
      context.commands.set(uuid, actor);
      actor.start();
    },
    enqueue: ({ context }, { uuid }: { uuid: string }) => {
      context.waiting.push(uuid);
    },
    /** It holds a slot already, so it takes one, even beyond `maxParallel`. */
    resumeCommand: ({ context }, { uuid, stored, elapsedMs, stop, graceMs, isKilled }: Readmission) => {
      context.executing.add(uuid);
      const actor = context.commands.get(uuid);
      actor?.send({ type: 'resume', stored, elapsedMs });
      if (stop === null) return;
      actor?.send(isKilled ? { type: 'kill', ...stop } : { type: 'stop', ...stop, graceMs });
    },
    startWaiting: ({ context }) => {
      while (context.executing.size < context.maxParallel) {
        const uuid = context.waiting.shift();
        if (uuid === undefined) return;
        context.executing.add(uuid);
        context.commands.get(uuid)?.send({ type: 'start' });
      }
    },
    stopCommand: ({ context }, { uuid, by, kill }: { uuid: string; by: CallerName; kill: boolean }) => {
      context.waiting.remove(uuid);
      context.commands.get(uuid)?.send({ type: kill ? 'kill' : 'stop', reason: 'stop', by });
    },
    stopExecuting: ({ context }) => {
      for (const uuid of context.executing)
        context.commands.get(uuid)?.send({ type: 'stop', reason: 'shutdown', by: null });
    },
    releaseSlot: ({ context }, { uuid }: { uuid: string }) => {
      context.executing.delete(uuid);
    },
    /** Tells the log that a command actor failed. */
    reportCrash: (_, _params: { uuid: string; error: unknown }) => {},
    /** For a command that can't do it itself any more. */
    giveSlotBack: raise((_, { uuid }: { uuid: string }) => ({ type: 'slot.released' as const, uuid })),
    forgetCommand: ({ context }, { uuid }: { uuid: string }) => {
      context.commands.delete(uuid);
    },
  },
}).createMachine({
  id: 'supervisor',
  context: ({ input }) => ({ ...input, commands: new Map(), waiting: new Fifo(), executing: new Set() }),
  on: {
    stop: { actions: { type: 'stopCommand', params: ({ event }) => event } },
    'slot.released': { actions: { type: 'releaseSlot', params: ({ event }) => ({ uuid: event.uuid }) } },
    'xstate.done.actor.*': {
      actions: { type: 'forgetCommand', params: ({ event }) => ({ uuid: event.actorId }) },
    },
    // Without this an actor that throws, which would be a bug, takes the supervisor and all other commands with it.
    'xstate.error.actor.*': {
      actions: [
        { type: 'reportCrash', params: ({ event }) => ({ uuid: event.actorId, error: event.error }) },
        { type: 'forgetCommand', params: ({ event }) => ({ uuid: event.actorId }) },
        { type: 'giveSlotBack', params: ({ event }) => ({ uuid: event.actorId }) },
      ],
    },
  },
  initial: 'accepting',
  states: {
    accepting: {
      on: {
        admit: {
          actions: [
            { type: 'createCommand', params: ({ event }) => event },
            { type: 'enqueue', params: ({ event }) => event },
            'startWaiting',
          ],
        },
        readmit: {
          actions: [
            { type: 'createCommand', params: ({ event }) => event },
            { type: 'resumeCommand', params: ({ event }) => event },
          ],
        },
        'slot.released': {
          actions: [{ type: 'releaseSlot', params: ({ event }) => ({ uuid: event.uuid }) }, 'startWaiting'],
        },
        drain: 'draining',
      },
    },
    draining: {
      entry: 'stopExecuting',
      always: { guard: 'isDrained', target: 'drained' },
    },
    // Not final: a final root would stop itself, and stops of waiting commands are answered to the end.
    drained: {},
  },
});
