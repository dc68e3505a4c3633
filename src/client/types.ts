/** What clients send and get, by the schemas of the server. Types alone: nothing of the server is loaded. */
import type { z } from 'zod';
import type { NewCommandBody } from '../routes/commands.ts';
import type { ReadinessBody } from '../routes/manage.ts';
import type { NodeBody } from '../routes/nodes.ts';
import type { PrunedBody } from '../routes/prune.ts';
import type { CommandBody, ErrorBody } from '../routes/schemas.ts';
import type { SupervisorStatechartBody } from '../routes/statecharts.ts';
import type { TransitionBody } from '../routes/transitions.ts';

/** A command to be run: its script, and how. */
export type NewCommand = z.input<typeof NewCommandBody>;

/** A command as the server tells of it. */
export type Command = z.output<typeof CommandBody>;

/** A page of a list. */
export interface CommandPage {
  commands: Partial<Command>[];
  /** Where the next page begins; undefined: this is the last one. */
  cursor: string | undefined;
  /** How many there are on all pages, when the query had `count`. */
  total: number | undefined;
}

/** A step that a command took through its statechart. */
export type Transition = z.output<typeof TransitionBody>;

/** What a deletion of many commands has done, or would do. */
export type Pruned = z.output<typeof PrunedBody>;

/** Whether the server can take commands, and how much there is to do. */
export type Readiness = z.output<typeof ReadinessBody>;

/** One of the servers that share the work. */
export type Node = z.output<typeof NodeBody>;

/** The machine that admits commands and holds the slots: as data, its state, and how much it has to do. */
export type SupervisorStatechart = z.output<typeof SupervisorStatechartBody>;

export type ErrorAnswer = z.output<typeof ErrorBody>;

/** How far a script says that it is. */
export type Progress = NonNullable<Command['progress']>;

/** How a command stands or has ended. */
export type Outcome = Pick<
  Command,
  | 'status'
  | 'reason'
  | 'exit_code'
  | 'signal'
  | 'error'
  | 'stopped_by'
  | 'started_at'
  | 'ended_at'
  | 'duration_ms'
  | 'output_bytes'
  | 'output_truncated'
>;

/** What happens to a command that is followed. */
export type CommandEvent =
  | { type: 'status'; status: Command['status'] }
  /** How far it says that it is: the latest, at first and whenever it changes. */
  | ({ type: 'progress' } & Progress)
  /** All steps that it took so far, oldest first, where they are wanted: at first, and whenever there are more. */
  | { type: 'steps'; steps: readonly Transition[] }
  /** Bytes of one stream; `offset` is the place of the first of them in all that was printed. */
  | { type: 'output'; stream: 'stdout' | 'stderr'; offset: number; bytes: Uint8Array }
  /** So many bytes are not kept. */
  | { type: 'gap'; offset: number; bytes: number }
  /** Nothing follows. */
  | ({ type: 'end' } & Outcome);

/** What happens in the actors of a server that is started for that. */
export type InspectEvent =
  /** All that follows is of this connection: actors have other ids than before. */
  | { type: 'start' }
  /** It has been created, or lives already. */
  | ({ type: 'actor' } & Inspected & ActorState)
  /** It gets an event; `source` is the actor that sent it, null when it came from outside. */
  | ({ type: 'event'; event: string; source: string | null } & Inspected)
  /** What that has led to. */
  | ({ type: 'snapshot'; event: string } & Inspected & ActorState);

interface Inspected {
  /** Holds until it ends. */
  actor: string;
  /** `supervisor`, the uuid of a command, or what that has invoked. */
  name: string;
  /** The `actor` that created it. */
  parent: string | null;
  at: string;
}

interface ActorState {
  /** Null for what is no machine, or is only being made. */
  state: string | null;
  status: 'active' | 'done' | 'error' | 'stopped';
}

/** What becomes of commands when all of them are watched. */
export type ListEvent =
  /** From now on nothing is missing. */
  | { type: 'start' }
  /** Something was missed. */
  | { type: 'reset' }
  | { type: 'created'; command_uuid: string; status: Command['status']; at: string }
  | { type: 'status'; command_uuid: string; status: Command['status']; at: string }
  | ({ type: 'progress'; command_uuid: string; at: string } & Progress)
  | { type: 'deleted'; command_uuid: string; at: string };
