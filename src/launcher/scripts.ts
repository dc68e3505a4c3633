/**
 * The scripts that the launcher owns, by uuid.
 *
 *   launched ──▶ running ──▶ ended ── forget ──▶ gone
 *
 * Invariants:
 * - A uuid is launched once, however often it is asked for.
 * - A script and its output stay until the server has forgotten it, which it does when all of it is committed.
 * - What happens is told to the server that is there; a new server is told again when it attaches.
 */
import { MAX_TIMER_MS, type ProcessEnd, type Progress, type Stop } from '../command.ts';
import type { ProcessSpec } from '../ports/process.ts';
import { ScriptProcess, type ScriptSetup } from '../scripts/script-process.ts';
import type { Chunk, FromLauncher, ScriptState } from './protocol.ts';
import { type Window, WindowPool } from './window.ts';

/** The server as the launcher sees it; what is sent while there is none is dropped. */
export interface ServerLink {
  /** @param onSent called when the system has taken the message, or never will: until then it takes up memory here. */
  control(message: FromLauncher, onSent?: () => void): void;
  chunk(chunk: Chunk): void;
}

interface Script {
  process: ScriptProcess;
  window: Window;
  startedAt: number;
  /** Undefined until bash runs, null when it could not be started. */
  pid: number | null | undefined;
  /** Why it is to end: what was said first. */
  stop: Stop | null;
  /** When its grace is over, by performance.now(); undefined: it has none. */
  killAt: number | undefined;
  /** Whether the server has asked for SIGKILL. */
  isKilled: boolean;
  /** The latest that it told; undefined: nothing. */
  progress: Progress | undefined;
  /** The latest of it that was passed on to the server that is there, and whether that is still under way. */
  passedOn: Progress | undefined;
  isPassing: boolean;
  /** How it ended, once it has; `at` by performance.now(). */
  ended: { end: ProcessEnd; durationMs: number | null; at: number } | undefined;
  ladder: NodeJS.Timeout | undefined;
  /** Whether the server that is there gets its events. */
  attached: boolean;
}

/** The server goes down the stop ladder itself; the launcher goes on alone this much later, in ms. */
const LADDER_MARGIN_MS = 1000;

export class Scripts {
  readonly #scripts = new Map<string, Script>();
  readonly #windows = new WindowPool();
  readonly #link: ServerLink;

  constructor(link: ServerLink) {
    this.#link = link;
  }

  /** What a new server has to know. */
  states(): ScriptState[] {
    const now = performance.now();
    return [...this.#scripts].map(([uuid, { stop, killAt, isKilled, startedAt, ended }]) => ({
      uuid,
      stop,
      graceMs: killAt && Math.max(0, killAt - now),
      isKilled,
      elapsedMs: (ended?.at ?? now) - startedAt,
    }));
  }

  /** Runs a script; one that is there already is attached to instead. */
  launch(setup: ScriptSetup, spec: ProcessSpec): void {
    if (this.#scripts.has(spec.uuid)) this.attach(spec.uuid, 0);
    else this.#launch(setup, spec);
  }

  #launch(setup: ScriptSetup, spec: ProcessSpec): void {
    const { uuid } = spec;
    const window = this.#windows.open({
      onPiece: (piece) => script.attached && this.#link.chunk({ uuid, ...piece }),
      onFull: () => script.attached && this.#link.control({ type: 'full', uuid }),
    });
    const process = new ScriptProcess(setup, spec, window);
    const script: Script = {
      process,
      window,
      startedAt: performance.now(),
      pid: undefined,
      stop: null,
      killAt: undefined,
      isKilled: false,
      progress: undefined,
      passedOn: undefined,
      isPassing: false,
      ended: undefined,
      ladder: undefined,
      attached: true,
    };
    this.#scripts.set(uuid, script);
    process.onProgress = (progress) => {
      script.progress = progress;
      this.#tellProgress(uuid, script);
    };
    void process.started.then((pid) => {
      script.pid = pid;
      if (script.attached) this.#link.control({ type: 'started', uuid, pid });
    });
    void process.ended.then((ended) => {
      script.ended = { ...ended, at: performance.now() };
      clearTimeout(script.ladder);
      if (script.attached) this.#tellEnd(uuid, script, script.ended);
    });
  }

  /** Sends again what the server may have missed. */
  attach(uuid: string, from: number): void {
    const script = this.#scripts.get(uuid);
    if (script === undefined) return;
    script.attached = true;
    // Stored by a server that ended before it could say so. Nothing else might ever say it to a script that waits.
    script.window.acknowledge(from);
    // One that has ended does not run any more: its time would seem to be over before its end is heard.
    if (script.pid !== undefined && script.ended === undefined) {
      this.#link.control({ type: 'started', uuid, pid: script.pid });
    }
    for (const piece of script.window.from(from)) this.#link.chunk({ uuid, ...piece });
    script.passedOn = undefined;
    script.isPassing = false;
    this.#tellProgress(uuid, script);
    if (script.window.isPaused) this.#link.control({ type: 'full', uuid });
    if (script.ended !== undefined) this.#tellEnd(uuid, script, script.ended);
  }

  /** One at a time: for a server that takes nothing we must not keep all that its scripts have ever told. */
  #tellProgress(uuid: string, script: Script): void {
    if (script.isPassing || !script.attached || script.progress === script.passedOn) return;
    script.isPassing = true;
    this.#passOn(uuid, script, () => {
      script.isPassing = false;
      this.#tellProgress(uuid, script);
    });
  }

  #passOn(uuid: string, script: Script, onSent?: () => void): void {
    const { progress } = script;
    script.passedOn = progress;
    if (progress !== undefined) this.#link.control({ type: 'progress', uuid, ...progress }, onSent);
  }

  #tellEnd(uuid: string, script: Script, { end, durationMs }: NonNullable<Script['ended']>): void {
    // The last of it comes before the end, whatever is still under way.
    if (script.progress !== script.passedOn) this.#passOn(uuid, script);
    this.#link.control({ type: 'ended', uuid, end, durationMs });
  }

  /** The server is gone: nobody gets events until the next one attaches. */
  detachAll(): void {
    for (const script of this.#scripts.values()) script.attached = false;
  }

  terminate(uuid: string, stop: Stop, graceMs: number): void {
    const script = this.#scripts.get(uuid);
    if (script === undefined || script.ended !== undefined || script.stop !== null) return;
    script.stop = stop;
    script.killAt = performance.now() + graceMs;
    script.process.terminate();
    script.ladder = setTimeout(() => script.process.kill(), Math.min(graceMs + LADDER_MARGIN_MS, MAX_TIMER_MS));
  }

  kill(uuid: string, stop: Stop | null = null): void {
    const script = this.#scripts.get(uuid);
    if (script === undefined || script.ended !== undefined) return;
    script.stop ??= stop;
    script.isKilled = true;
    script.process.kill();
  }

  acknowledge(uuid: string, upTo: number): void {
    this.#scripts.get(uuid)?.window.acknowledge(upTo);
  }

  /** Drops a script that has ended; one that still runs is killed and dropped then: nobody owns it any more. */
  forget(uuid: string): void {
    const script = this.#scripts.get(uuid);
    if (script === undefined) return;
    script.attached = false;
    // Without a reader for its output the script could wait for ever.
    script.window.discard();
    const drop = () => {
      this.#windows.close(script.window);
      this.#scripts.delete(uuid);
    };
    if (script.ended === undefined) script.process.kill();
    void script.process.ended.then(drop);
  }

  /** Kills and drops everything, and resolves when nothing lives. */
  async forgetAll(): Promise<void> {
    const all = [...this.#scripts];
    for (const [uuid] of all) this.forget(uuid);
    await Promise.all(all.map(([, { process }]) => process.ended));
  }

  /** Kills everything, and resolves when nothing lives. */
  async killAll(): Promise<void> {
    for (const { process, window } of this.#scripts.values()) {
      // Nobody acknowledges any more, and a paused pipe is never read to its end.
      window.discard();
      process.kill();
    }
    await Promise.all([...this.#scripts.values()].map(({ process }) => process.ended));
  }
}
