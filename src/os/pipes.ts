/** Pipes for children. Those of Node are socket pairs, so that a script's `> /dev/stdout` fails. */
import type Koffi from 'koffi';
import type { LibraryHandle } from 'koffi';
import { systemError } from './system-error.ts';

/** Constant of Linux, the same on x86_64 and arm64: <fcntl.h>. */
const O_CLOEXEC = 0o2000000;

/** @returns what makes a pipe, close-on-exec. @throws when libc has no pipe2. */
export function pipesBy(koffi: typeof Koffi, libc: LibraryHandle): () => [read: number, write: number] {
  const pipe2 = libc.func('int pipe2(_Out_ int *fds, int flags)');
  return () => {
    const fds = new Int32Array(2);
    if (pipe2(fds, O_CLOEXEC) !== 0) throw systemError('pipe', koffi.errno());
    return [fds[0] as number, fds[1] as number];
  };
}
