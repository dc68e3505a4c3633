import type { Stream } from '../../src/command.ts';
import type { OutputSink } from '../../src/ports/process.ts';

/** Collects what a process prints. */
export class CollectingSink implements OutputSink {
  readonly chunks: { stream: Stream; bytes: Uint8Array }[] = [];
  onDrain: () => void = () => {};
  onCommitted: (upTo: number) => void = () => {};
  full(): void {}
  /** What `write` answers. */
  hasRoom = true;

  write(stream: Stream, bytes: Uint8Array): boolean {
    this.chunks.push({ stream, bytes });
    return this.hasRoom;
  }
  /** All bytes, of one stream or of both. */
  bytes(stream?: Stream): Buffer {
    return Buffer.concat(this.chunks.filter((c) => stream === undefined || c.stream === stream).map((c) => c.bytes));
  }
  text(stream?: Stream): string {
    return this.bytes(stream).toString();
  }
}
