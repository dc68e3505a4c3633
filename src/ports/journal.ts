/** The one writer of commands as the actors see it. Its adapter is in `persistence/`. */
import type {
  CallerName,
  Idempotency,
  NewCommand,
  Outcome,
  Progress,
  StoredOutput,
  StoredRequest,
  Transition,
} from '../command.ts';
import type { OutputSink } from './process.ts';

/** The output of one command on its way into the journal. */
export interface CommandOutput extends OutputSink {
  /** Resolves when more was printed than is kept. */
  readonly overLimit: Promise<void>;
}

/** What of a command is not kept in memory while it waits. */
export interface Begun extends Pick<StoredRequest, 'script' | 'inputs' | 'secretNames'> {
  /** Where the output of this run begins, behind that of earlier ones, which were lost; and what is kept of all. */
  output: StoredOutput;
  /** When it was created, in ms since the epoch; null: it has run before. */
  waitsSince: number | null;
}

/**
 * The one writer. Batches what all commands write into few transactions; each promise resolves when its own batch
 * has committed.
 */
export interface Journal {
  /**
   * Stores a new command as `QUEUED`, and with it its key. @returns whether it is: not where another command has the key.
   * @throws StorageUnavailable when it was not committed in time, and never will be.
   * @param onKept called where it was committed all the same, and a repeat of its request has been told of it meanwhile:
   * so it stays, and is to be run.
   */
  insert(command: NewCommand, onKept?: () => void): Promise<boolean>;
  /**
   * Which command has the key of a request, among the keys of who asks. @returns its uuid, from now on a promise that it stays until a client deletes
   * it; null when there is none. @throws IdempotencyKeyReused when it was created by another request.
   */
  replay(idempotency: Idempotency, by: CallerName): Promise<string | null>;
  /** Marks a command `EXECUTING`. @returns what to run, or null when it is no longer there to be run. */
  begin(uuid: string, startedAt: Date): Promise<Begun | null>;
  /**
   * Opens the output of a command. `stored`: what of it was written by a server before this one, and by earlier runs;
   * undefined: nothing.
   */
  openOutput(uuid: string, durable: boolean, stored?: StoredOutput): CommandOutput;
  /**
   * Keeps a step of the machine of a command: it is stored with the outcome, or when for about 100 ms there is neither that
   * nor another step. Not to be told are the first admission and the last step, behind the outcome: they are known.
   */
  transition(uuid: string, transition: Transition): void;
  /** Stores how far a command is that executes; of what comes close together only the latest. */
  progress(uuid: string, progress: Progress): void;
  /** Stores the outcome of a command, together with or after the last of its output and its progress. */
  finish(uuid: string, outcome: Outcome, endedAt: Date): Promise<void>;
  /** Deletes a command and its output. @returns whether it was there. */
  remove(uuid: string): Promise<boolean>;
}
