/** What is read of stored commands, and decided about them once they have ended. The adapters are in `persistence/`. */
import type {
  CommandRecord,
  CommandSummary,
  Progress,
  Reason,
  Status,
  StoredRequest,
  Stream,
  Transition,
} from '../command.ts';

/** Which commands are meant: those of which all that is given is true. */
export interface CommandFilter {
  /** Those in one of these. */
  statuses?: readonly Status[] | undefined;
  durable?: boolean | undefined;
  /** Those that were sent with the token of this name. */
  createdBy?: string | undefined;
  reason?: Reason | undefined;
  exitCode?: number | undefined;
  /** Those with all of these labels. */
  labels?: Readonly<Record<string, string>> | undefined;
  pinned?: boolean | undefined;
  createdAfter?: Date | undefined;
  createdBefore?: Date | undefined;
  /** What is in the description or the beginning of the script, whatever the case of its letters. */
  text?: string | undefined;
}

/** A place in a list: that of a command which may be deleted meanwhile. */
export interface ListPosition {
  id: number;
  /** In ms since the epoch. */
  createdAt: number;
}

/** Which part of a list is wanted. Newest first: by admission, or by `createdAt` where that is filtered by. */
export interface ListQuery {
  filter: CommandFilter;
  /** Only what comes behind this place. */
  behind?: ListPosition | undefined;
  limit: number;
  offset: number;
  /** Whether outputs are wanted. */
  withOutput: boolean;
}

export interface ListPage {
  commands: CommandRecord[];
  /** Where the next page begins; undefined when this is the last one. */
  next: ListPosition | undefined;
}

/** Which bytes of the output of a command are wanted, by their places in all that it printed. */
export interface OutputQuery {
  from: number;
  before: number;
  /** Undefined: both. */
  stream: Stream | undefined;
}

/** A part of what shows of the output of a command, in one snapshot. */
export interface OutputPart {
  status: Status;
  /** Null: it has said nothing of it. */
  progress: Progress | null;
  /** Whether the command has ended: then nothing will follow. */
  ended: boolean;
  /** Where that ends which shows. */
  upTo: number;
  /** What was dropped behind the head. */
  gap: { at: number; bytes: number };
  /** Whether all that shows stays as it is: nothing was dropped, nor will be of what is there now. */
  isFinal: boolean;
  /**
   * What there is from the place that was asked for on, in order: only the beginning when it is much, nothing when there
   * is nothing. Where a piece does not begin at the end of the last one, what lies between is not kept.
   */
  pieces: OutputPiece[];
}

export interface OutputPiece {
  stream: Stream;
  offset: number;
  length: number;
  /** All of it, or none when it is of a stream that is not wanted. */
  bytes: Uint8Array;
}

/** Looks out for what is new of one command, from the moment it is made. */
export interface Watch extends Disposable {
  /**
   * Resolves when there may be something new since the last time: at once where this server has stored it, else
   * within a second. Sooner when `signal` aborts.
   */
  next(signal: AbortSignal): Promise<void>;
}

/** What has become of commands since the last time. */
export interface CommandEvents {
  /** Whether some of it is not kept any more: then all that is known of commands is to be read anew. */
  lost: boolean;
  /** Where to go on. */
  place: string;
  events: CommandEvent[];
}

export interface CommandEvent {
  /** Where to go on after it. */
  id: string;
  uuid: string;
  /** Null: it was deleted. */
  status: Status | null;
  /** What it told of its progress; null: its status has changed, or it was deleted. */
  progress: Progress | null;
  /** In ms since the epoch. */
  at: number;
}

/** Reads stored commands. */
export interface CommandReader {
  /** Without output where that is not wanted. */
  get(uuid: string, withOutput?: boolean): Promise<CommandRecord | null>;
  /** Null when there is no such command. */
  output(uuid: string, query: OutputQuery): Promise<OutputPart | null>;
  watch(uuid: string): Watch;
  /** How a command stands, without what it was and printed. Null when there is none. */
  summary(uuid: string): Promise<CommandSummary | null>;
  list(query: ListQuery): Promise<ListPage>;
  count(filter: CommandFilter): Promise<number>;
  statusOf(uuid: string): Promise<Status | null>;
  /** The steps of its machine, oldest first, the last one with its terminal status. Null when there is no such command. */
  transitions(uuid: string): Promise<Transition[] | null>;
  /** What the client has sent, in full but for its secrets. */
  requestOf(uuid: string): Promise<StoredRequest | null>;
  /**
   * Follows all commands from a place on, or from now on: then the first batch is empty and tells where that is. There is
   * one about each second at least. Ends when `signal` aborts.
   */
  events(from: string | undefined, signal: AbortSignal): AsyncGenerator<CommandEvents>;
}

/** What a deletion of many commands has done, or would do. */
export interface Pruned {
  deleted: number;
  /** Those that the filter means and that stay. */
  kept: {
    /** They wait or run. */
    live: number;
    /** They have ended, and are pinned. */
    pinned: number;
  };
}

/** Decides what is kept of the stored commands, whichever server has run them. */
export interface CommandKeeper {
  /** Pins a command, or takes the pin off. @throws CommandNotFound, PinInDoubt */
  pin(uuid: string, pinned: boolean): Promise<void>;
  /**
   * Deletes all commands of a filter that were there when it began, in small transactions; those that live or are
   * pinned stay. With `dryRun` it only counts. @throws PruneBrokenOff, also when `signal` aborts; what was deleted stays so
   */
  prune(filter: CommandFilter, dryRun: boolean, signal: AbortSignal): Promise<Pruned>;
}
