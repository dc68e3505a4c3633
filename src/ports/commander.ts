/** What clients may do with commands, whoever asks for them. The adapter is in `actors/`. */
import type { CallerName, CommandRequest, Idempotency, SecretEnv } from '../command.ts';

/** What a request for a command has come to. */
export interface Submission {
  uuid: string;
  /** Whether an earlier request with the same key has created it. */
  isReplay: boolean;
}

/** What clients may do with commands. */
export interface Commander {
  /**
   * Stores a command and lets it run as soon as a slot is free; answers once it is committed. A repeat of an earlier
   * request is never refused but for its key.
   * @throws TimeoutTooLong, OptionUnsupported, FolderRefused, Draining, QueueFull, StorageUnavailable,
   * IdempotencyKeyReused
   */
  submit(request: CommandRequest, by: CallerName, idempotency?: Idempotency): Promise<Submission>;
  /**
   * The same for a new command with all that an earlier one was given. What is stored nowhere comes with the request.
   * @throws as `submit`; CommandNotFound, SecretsMismatch, StringsTooLarge
   */
  rerun(uuid: string, secretEnv: SecretEnv, by: CallerName, idempotency?: Idempotency): Promise<Submission>;
  /**
   * Stops a command; resolves once its whole process tree is dead and `STOPPED` is stored.
   * @param kill whether by SIGKILL at once; where it is ending already, without the rest of its grace.
   * @throws CommandNotFound, CommandEnded, CommandElsewhere
   */
  stop(uuid: string, by: CallerName, kill?: boolean): Promise<void>;
  /** Deletes a command, stopping it first when it runs. @throws CommandNotFound, CommandElsewhere */
  remove(uuid: string, by: CallerName): Promise<void>;
  /** How the supervisor stands at this moment. */
  load(): Load;
}

/** How the supervisor stands: what it takes, and how many commands wait and run. */
export interface Load {
  /** `accepting`; `draining`: it takes nothing new and waits for what runs to end; `drained`: nothing runs any more. */
  state: 'accepting' | 'draining' | 'drained';
  /** Commands that wait for a slot. */
  waiting: number;
  /** Slots that are taken. */
  executing: number;
  maxParallel: number;
  maxQueued: number;
  /** Commands that need no slot any more and whose outcome is being stored. */
  storing: number;
}
