/** Shows what goes on in the actors: their transitions in the log, and all of it to those who debug the server. */
import type { AnyActorRef, InspectionEvent, Snapshot } from 'xstate';
import { InspectorTooSlow } from '../errors.ts';
import type { Inspected, Inspection } from '../ports/watching.ts';
import type { SupervisorContext } from './supervisor.ts';
import { stateOf } from './words.ts';

interface DebugLog {
  debug(fields: object, message: string): void;
}

/** Logs each change of state of each command and of the supervisor, at debug level. */
export function logTransitions(log: DebugLog): (event: InspectionEvent) => void {
  return (inspected) => {
    if (inspected.type !== '@xstate.microstep') return;
    const { value } = inspected.snapshot as Snapshot<unknown> & { value?: unknown };
    if (value === undefined) return;
    log.debug(
      { actor: (inspected.actorRef as AnyActorRef).id, event: inspected.event.type, state: value },
      'transition',
    );
  };
}

/** How many events may wait for one who follows; about 5 MB. Who is behind by more is left behind. */
const BACKLOG = 20_000;
/** How long nothing may happen before that is told, in ms. */
const QUIET_MS = 1000;

/** One who follows, from the moment he begins to. */
interface Follower {
  waiting: Inspected[];
  isTooSlow: boolean;
  wake: () => void;
}

/**
 * Tells those who follow what happens in all actors. As long as nobody does it only looks whether somebody does.
 *
 * Invariants:
 * - Neither what is in a context nor what an event carries is ever told: these hold what clients have sent.
 * - What waits for a follower is bounded; nobody else waits for him.
 */
export class ActorInspector implements Inspection {
  readonly #followers = new Set<Follower>();
  /** All other actors are found from here. */
  #supervisor: AnyActorRef | undefined;

  /** Takes what XState tells; never throws, which would escape from `send`. */
  readonly observe = (inspected: InspectionEvent): void => {
    const actor = inspected.actorRef as AnyActorRef;
    this.#supervisor ??= actor;
    if (this.#followers.size === 0) return;
    const told = inWords(inspected, actor);
    if (told === undefined) return;
    for (const follower of this.#followers) {
      if (follower.waiting.push(told) > BACKLOG) this.#leaveBehind(follower);
      follower.wake();
    }
  };

  async *follow(signal: AbortSignal): AsyncGenerator<Inspected[]> {
    const follower: Follower = { waiting: this.#living(), isTooSlow: false, wake: () => {} };
    this.#followers.add(follower);
    const onAbort = () => follower.wake();
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted) {
        if (follower.isTooSlow) throw new InspectorTooSlow();
        const batch = follower.waiting;
        follower.waiting = [];
        yield batch;
        if (follower.waiting.length > 0 || signal.aborted) continue;
        const { promise, resolve } = Promise.withResolvers<void>();
        follower.wake = resolve;
        const timer = setTimeout(resolve, QUIET_MS);
        await promise;
        clearTimeout(timer);
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#followers.delete(follower);
    }
  }

  #leaveBehind(follower: Follower): void {
    follower.isTooSlow = true;
    follower.waiting = [];
    this.#followers.delete(follower);
  }

  /** What lives, each actor behind the one that has created it; without the commands that wait for their turn. */
  #living(): Inspected[] {
    const supervisor = this.#supervisor;
    if (supervisor === undefined) return [];
    const { commands } = supervisor.getSnapshot().context as SupervisorContext;
    const begun = [...commands.values()].filter((command) => !command.getSnapshot().matches('queued'));
    const inside = (actor: AnyActorRef): AnyActorRef[] => [actor, ...childrenOf(actor).flatMap(inside)];
    return [supervisor, ...begun.flatMap(inside)].map((actor) => ({
      type: 'actor',
      ...whoIs(actor),
      ...stateIn(actor.getSnapshot()),
    }));
  }
}

function childrenOf(actor: AnyActorRef): AnyActorRef[] {
  const { children = {} } = actor.getSnapshot() as { children?: Record<string, AnyActorRef | undefined> };
  return Object.values(children).filter((child) => child !== undefined);
}

/** Undefined: it is a detail of another one that is told. */
function inWords(inspected: InspectionEvent, actor: AnyActorRef): Inspected | undefined {
  switch (inspected.type) {
    case '@xstate.actor':
      // It is only being made.
      return { type: 'actor', ...whoIs(actor), state: null, status: 'active' };
    case '@xstate.event': {
      // What has no source was sent by an action: to a command those of the supervisor alone do that.
      const source = (inspected.sourceRef as AnyActorRef | undefined) ?? actor._parent;
      return { type: 'event', ...whoIs(actor), event: inspected.event.type, source: source?.sessionId ?? null };
    }
    case '@xstate.snapshot':
      return { type: 'snapshot', ...whoIs(actor), event: inspected.event.type, ...stateIn(inspected.snapshot) };
    default:
      return undefined;
  }
}

const whoIs = (actor: AnyActorRef) => ({
  actor: actor.sessionId,
  name: actor.id,
  parent: actor._parent?.sessionId ?? null,
  at: Date.now(),
});

function stateIn(snapshot: Snapshot<unknown>): Pick<Inspected & { type: 'snapshot' }, 'state' | 'status'> {
  const { value } = snapshot as { value?: Parameters<typeof stateOf>[0] };
  return { state: value === undefined ? null : stateOf(value), status: snapshot.status };
}
