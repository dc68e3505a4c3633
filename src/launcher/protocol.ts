/**
 * What launcher and server say to each other over their socket pair.
 *
 * A frame is its length (4 bytes, little endian, of what follows), its kind (1 byte) and its body: for `CONTROL` a
 * message as JSON, for `CHUNK` a piece of output: uuid (36 bytes), stream (1 byte), offset (8 bytes), then the bytes.
 */
import type { Writable } from 'node:stream';
import type { ProcessEnd, RunInputs, Stop, Stream } from '../command.ts';
import type { LivingScript, ProcessRunner, ProcessSpec, ScriptsConfig } from '../ports/process.ts';

/** Changes whenever an older side would misunderstand a newer one. */
export const PROTOCOL = 6;

/** A script that the launcher has and the server has not forgotten yet. */
export interface ScriptState extends LivingScript {
  uuid: string;
}

/** A script to be run, its stdin as base64. */
export interface Launch extends Omit<ProcessSpec, 'inputs'> {
  type: 'launch';
  inputs: Omit<RunInputs, 'stdin'>;
  stdin: string | undefined;
}

export function launchOf({ inputs: { stdin, ...inputs }, ...spec }: ProcessSpec): Launch {
  return { type: 'launch', ...spec, inputs, stdin: stdin && Buffer.from(stdin).toString('base64') };
}

export function specOf({ type: _, inputs, stdin, ...spec }: Launch): ProcessSpec {
  return { ...spec, inputs: { ...inputs, stdin: stdin === undefined ? undefined : Buffer.from(stdin, 'base64') } };
}

export type ToLauncher =
  /** The first message. */
  | { type: 'hello'; protocol: number; config: ScriptsConfig }
  /** The server serves; from now on it is started again when it ends. */
  | { type: 'ready' }
  /** Runs a script, unless one with this uuid is there already. */
  | Launch
  /** Sends everything from this byte on, and what has become of it. */
  | { type: 'attach'; uuid: string; from: number }
  /** SIGTERM to the group; after the grace the launcher kills by itself, should the server not be there to say so. */
  | { type: 'terminate'; uuid: string; stop: Stop; graceMs: number }
  /** SIGKILL to the whole tree. `stop` is why, unless something else was said before. */
  | { type: 'kill'; uuid: string; stop?: Stop | undefined }
  /** All bytes before this one are committed, or will not be kept. */
  | { type: 'ack'; uuid: string; upTo: number }
  /** Its outcome is committed, or nobody wants it any more. */
  | { type: 'forget'; uuid: string }
  /** All that was done under this owner counts for nothing any more. */
  | { type: 'fenced' };

export type FromLauncher =
  /** The answer to the server's hello. `problem` says in one line why no scripts can be run. */
  | {
      type: 'hello';
      protocol: number;
      owner: number;
      spawner: string;
      layers: readonly string[];
      warnings: readonly string[];
      unsupported: ProcessRunner['unsupported'];
      scripts: ScriptState[];
      problem?: string;
    }
  /** `pid` is null when bash could not be started. */
  | { type: 'started'; uuid: string; pid: number | null }
  /** How far it says that it is. The latest is told again to a server that attaches. */
  | { type: 'progress'; uuid: string; percent: number; text: string }
  | { type: 'ended'; uuid: string; end: ProcessEnd; durationMs: number | null }
  /** The script waits until what it printed is acknowledged. */
  | { type: 'full'; uuid: string }
  /** End, and leave the scripts running: another server takes over. */
  | { type: 'hand over' };

/** A piece of the output of a script. */
export interface Chunk {
  uuid: string;
  stream: Stream;
  /** Place of its first byte in all that the script printed. */
  offset: number;
  bytes: Uint8Array;
}

const CONTROL = 0;
const CHUNK = 1;
const HEADER_BYTES = 5;
const UUID_BYTES = 36;
const CHUNK_HEADER_BYTES = UUID_BYTES + 1 + 8;
/** Longer than any frame: a script of 10 MiB whose every character JSON escapes, and what little it can have beside that. */
const FRAME_MAX_BYTES = 64 * 1024 * 1024;

export function encodeControl(message: ToLauncher | FromLauncher): Buffer {
  const body = JSON.stringify(message);
  const length = Buffer.byteLength(body);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + length);
  frame.writeUInt32LE(length + 1, 0);
  frame[4] = CONTROL;
  frame.write(body, HEADER_BYTES);
  return frame;
}

/** The head of a chunk's frame; its bytes follow as they are, without a copy. */
export function encodeChunkHead({ uuid, stream, offset, bytes }: Chunk): Buffer {
  const head = Buffer.allocUnsafe(HEADER_BYTES + CHUNK_HEADER_BYTES);
  head.writeUInt32LE(1 + CHUNK_HEADER_BYTES + bytes.length, 0);
  head[4] = CHUNK;
  head.write(uuid, HEADER_BYTES, 'latin1');
  head[HEADER_BYTES + UUID_BYTES] = stream === 'stdout' ? 1 : 2;
  head.writeDoubleLE(offset, HEADER_BYTES + UUID_BYTES + 1);
  return head;
}

/** Sends frames; those of one turn of the event loop go in one system call. */
export class FrameWriter {
  readonly #stream: Writable;
  #isGathering = false;

  constructor(stream: Writable) {
    this.#stream = stream;
  }

  send(parts: readonly Uint8Array[], onSent?: () => void): void {
    if (!this.#isGathering) {
      this.#isGathering = true;
      this.#stream.cork();
      setImmediate(() => {
        this.#isGathering = false;
        this.#stream.uncork();
      });
    }
    for (const [i, part] of parts.entries()) this.#stream.write(part, i === parts.length - 1 ? onSent : undefined);
  }
}

/** Cuts a stream of bytes into frames. */
export class FrameReader<Message> {
  #parts: Buffer[] = [];
  #bytes = 0;
  readonly #onControl: (message: Message) => void;
  readonly #onChunk: (chunk: Chunk) => void;

  constructor(onControl: (message: Message) => void, onChunk: (chunk: Chunk) => void = () => {}) {
    this.#onControl = onControl;
    this.#onChunk = onChunk;
  }

  /** Takes what has come and hands out each frame that is whole. @throws Error when it is no frame. */
  push(part: Buffer): void {
    this.#parts.push(part);
    this.#bytes += part.length;
    while (this.#bytes >= HEADER_BYTES) {
      const length = this.#peekLength();
      if (length > FRAME_MAX_BYTES) throw new Error(`a frame of ${length} bytes is none of ours`);
      if (this.#bytes < 4 + length) return;
      this.#handle(this.#take(4 + length).subarray(4));
    }
  }

  #peekLength(): number {
    const first = this.#parts[0] as Buffer;
    if (first.length >= 4) return first.readUInt32LE(0);
    return this.#joined().readUInt32LE(0);
  }

  #take(length: number): Buffer {
    const first = this.#parts[0] as Buffer;
    const all = first.length >= length ? first : this.#joined();
    this.#bytes -= length;
    if (all.length === length) this.#parts.shift();
    else this.#parts[0] = all.subarray(length);
    return all.subarray(0, length);
  }

  #joined(): Buffer {
    const all = Buffer.concat(this.#parts);
    this.#parts = [all];
    return all;
  }

  #handle(frame: Buffer): void {
    if (frame[0] === CONTROL) this.#onControl(JSON.parse(frame.toString('utf8', 1)));
    else
      this.#onChunk({
        uuid: frame.toString('latin1', 1, 1 + UUID_BYTES),
        stream: frame[1 + UUID_BYTES] === 1 ? 'stdout' : 'stderr',
        offset: frame.readDoubleLE(2 + UUID_BYTES),
        bytes: frame.subarray(1 + CHUNK_HEADER_BYTES),
      });
  }
}
