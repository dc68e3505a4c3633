/** The server as a child process: started, connected by a socket pair, started again when it ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import {
  type Chunk,
  encodeChunkHead,
  encodeControl,
  FrameReader,
  FrameWriter,
  type FromLauncher,
  type ToLauncher,
} from './protocol.ts';
import type { ServerLink } from './scripts.ts';

/** The descriptor of the server's end of the socket pair. */
const LINK_FD = 3;
/** First and longest pause before a server that has crashed is started again, in ms. */
const BACK_OFF_MS = [100, 5000] as const;
/** A server that has lived this long did not crash at once, in ms. */
const STEADY_MS = 10_000;

/** What the launcher does about its server. */
export interface ServerHandlers {
  onMessage(message: ToLauncher): void;
  /** Its connection has ended, and all it ever sent has been handled. */
  onGone(): void;
  /** It ended, and is not started again. */
  onEnd(exitCode: number): void;
  log(message: string): void;
}

export class ServerProcess implements ServerLink {
  readonly #entry: string;
  readonly #handlers: ServerHandlers;
  #child: ChildProcess | undefined;
  #writer: FrameWriter | undefined;
  #wasReady = false;
  #ending = false;
  /** Whether it was killed by us: then nothing is left to be stored. */
  #killed = false;
  /** Whether the server that is there has said hello; from then on it hears signals. */
  #greeted = false;
  /** Set while there is no server, until the next one is started. */
  #next: NodeJS.Timeout | undefined;
  #pause: number = BACK_OFF_MS[0];

  constructor(entry: string, handlers: ServerHandlers) {
    this.#entry = entry;
    this.#handlers = handlers;
  }

  start(): void {
    const startedAt = performance.now();
    const child = spawn(process.execPath, [this.#entry, `${LINK_FD}`], {
      stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    });
    // Not there when the process could not be made for want of descriptors.
    const socket = child.stdio?.[LINK_FD] as Duplex | undefined;
    this.#child = child;
    this.#writer = socket && new FrameWriter(socket);
    this.#next = undefined;
    this.#greeted = false;
    const reader = new FrameReader<ToLauncher>((message) => {
      if (!this.#greeted && this.#ending) child.kill('SIGTERM');
      this.#greeted = true;
      if (message.type === 'ready') this.#wasReady = true;
      this.#handlers.onMessage(message);
    });
    socket?.on('data', (bytes: Buffer) => reader.push(bytes));
    // A server that was killed leaves a broken pipe; its end is told below.
    socket?.on('error', () => {});
    const exited = new Promise<{ code: number | null; signal: string | null; problem?: string }>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
      // It could not be started: in the middle of an upgrade its program may not be there.
      child.once('error', (error) => {
        resolve({ code: null, signal: null, problem: error.message });
        socket?.destroy();
      });
    });
    const closed = socket && new Promise((resolve) => socket.once('close', resolve));
    void Promise.all([exited, closed]).then(([{ code, signal, problem }]) => {
      this.#writer = undefined;
      this.#handlers.onGone();
      // One that did not come to the end of its shutdown has not stored what runs: the next one does.
      const isDone = this.#ending && (signal === null || this.#killed);
      if (isDone || !this.#wasReady) return this.#handlers.onEnd(code ?? 1);
      if (performance.now() - startedAt > STEADY_MS) this.#pause = BACK_OFF_MS[0];
      const pause = this.#ending ? 0 : this.#pause;
      this.#handlers.log(`the server ended with ${problem ?? signal ?? code}; starting it again in ${pause} ms`);
      this.#next = setTimeout(() => this.start(), pause);
      this.#pause = Math.min(Math.max(this.#pause * 2, BACK_OFF_MS[0]), BACK_OFF_MS[1]);
    });
  }

  /** Its process id, also of one that has just ended. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  control(message: FromLauncher, onSent?: () => void): void {
    this.#writer?.send([encodeControl(message)], onSent);
  }

  chunk(chunk: Chunk): void {
    this.#writer?.send([encodeChunkHead(chunk), chunk.bytes]);
  }

  /**
   * Ends the server for good, by a signal that lets it stop all scripts first and store what they have printed. Where
   * there is no server at the moment one is started for that.
   */
  end(): void {
    this.#ending = true;
    if (this.#next !== undefined) {
      clearTimeout(this.#next);
      this.start();
    } else if (this.#greeted) {
      this.#child?.kill('SIGTERM');
    }
  }

  kill(): void {
    this.#ending = true;
    this.#killed = true;
    if (this.#next === undefined) this.#child?.kill('SIGKILL');
    else {
      clearTimeout(this.#next);
      this.#handlers.onEnd(1);
    }
  }

  /** Ends this server and starts another; scripts run on. */
  restart(): void {
    this.#pause = 0;
    this.control({ type: 'hand over' });
  }
}
