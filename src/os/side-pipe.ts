/**
 * A pipe of a child beside its output, at descriptor 3. Few children ever write to it, so nobody waits for it: that would
 * cost each of them more than the pipe itself. It is looked at from time to time.
 */
import type { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import type { LibraryHandle } from 'koffi';

/** Where a child finds it. */
export const SIDE_FD = 3;

export interface SidePipe {
  /**
   * Takes what is there, at most `SIDE_BYTES` of it, and never waits; null when there is nothing. The bytes stay as they are
   * only until the next look at any pipe.
   */
  read(): Buffer | null;
  /** Resolves when all that was written before can be read. */
  arrival(): Promise<void>;
  /** Lets go of it: whoever writes to it from now on gets SIGPIPE. */
  close(): void;
}

/** How much a pipe holds (pipe(7)), in bytes. */
export const SIDE_BYTES = 64 * 1024;

// Constants of Linux, the same on x86_64 and arm64: <fcntl.h>.
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;

/** @returns what makes a side pipe of the read end of a pipe. @throws when libc lacks something. */
export function sidePipesBy(libc: LibraryHandle): (fd: number) => SidePipe {
  const fcntl = libc.func('int fcntl(int fd, int command, ...)');
  const read = libc.func('long read(int fd, void *bytes, ulong count)');
  const close = libc.func('int close(int fd)');
  const bytes = Buffer.alloc(SIDE_BYTES);
  return (fd) => {
    // Of this end alone: a child that gets EAGAIN would lose what it says.
    fcntl(fd, F_SETFL, 'int', O_NONBLOCK);
    return {
      read() {
        const count = read(fd, bytes, bytes.length);
        return count > 0 ? bytes.subarray(0, count) : null;
      },
      arrival: async () => {},
      close: () => void close(fd),
    };
  };
}

/** A side pipe that Node reads. */
export function sidePipeOf(readable: Readable): SidePipe {
  // Without a listener Node would throw away what is left when the child has ended. With this one it reads only as much as
  // it may hold, 64 KiB.
  readable.on('readable', () => {});
  readable.on('error', () => readable.destroy());
  return {
    // Without a number it would give one piece of what it has.
    read: () => readable.read(readable.readableLength),
    async arrival() {
      // From one of these to the next libuv has looked at all descriptors once.
      await turn();
      await turn();
    },
    close: () => void readable.destroy(),
  };
}
