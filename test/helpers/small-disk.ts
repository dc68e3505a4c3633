/** A PostgreSQL whose disk is full, until the test makes room. */
import { execFileSync } from 'node:child_process';
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type PrivateCluster, startPrivateCluster } from './private-cluster.ts';
import { temporaryFolder } from './server.ts';

const MIB = 1024 * 1024;
/** Of the file system; an empty cluster has about 60 MiB. */
const DISK_BYTES = 256 * MIB;
/** How much room is left on the full disk. */
const LEFT_BYTES = 4 * MIB;
/** Of a file, where we may not mount: more than a file of the write-ahead log (16 MiB), which PostgreSQL can't do without. */
const FILE_BYTES = 17 * MIB;

export interface SmallDisk {
  cluster: PrivateCluster;
  /** What makes it small: PostgreSQL meets ENOSPC, or EFBIG. */
  kind: 'tmpfs' | 'RLIMIT_FSIZE';
  /** Leaves room for a few MiB only. */
  fill(): void;
  /** Makes room. */
  free(): Promise<void>;
}

/**
 * Starts a PostgreSQL on a file system of its own, where we may mount one. Elsewhere its files may not become large
 * (`ulimit -f`), which to it is another error of the same kind: it can't extend a table. Either way 20 MiB don't fit.
 */
export async function startOnSmallDisk(t: Test): Promise<SmallDisk> {
  const folder = temporaryFolder(t);
  if (!mount(folder)) {
    // Inherited by what we start.
    limitFiles(`${FILE_BYTES}`);
    const cluster = await startPrivateCluster(t, folder).finally(() => limitFiles('unlimited'));
    return {
      cluster,
      kind: 'RLIMIT_FSIZE',
      fill() {},
      async free() {
        await cluster.kill();
        await cluster.start();
      },
    };
  }
  t.teardown(() => execFileSync('umount', ['--lazy', folder]));
  const cluster = await startPrivateCluster(t, folder);
  const ballast = join(folder, 'ballast');
  return {
    cluster,
    kind: 'tmpfs',
    fill() {
      const { bavail, bsize } = statfsSync(folder);
      writeFileSync(ballast, Buffer.alloc(bavail * bsize - LEFT_BYTES));
    },
    async free() {
      rmSync(ballast);
      // Where the write-ahead log itself had no room PostgreSQL has ended.
      await cluster.start();
    },
  };
}

function mount(folder: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', folder], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Sets the soft limit of this process. */
function limitFiles(bytes: string): void {
  execFileSync('prlimit', [`--pid=${process.pid}`, `--fsize=${bytes}:`]);
}
