/**
 * Locks of files and folders, flock(2). Only the kernel knows who holds one: whatever namespace of processes its holder lives in,
 * and however that ends.
 */
import { spawnSync } from 'node:child_process';

/**
 * Takes the lock if nobody else has it; it is held as long as the descriptor is open. Node has no flock(2): flock(1) takes the
 * lock of the descriptor that it inherits, which is ours.
 * @param flock absolute path of flock(1). @returns whether we have the lock; false too where the file system knows none.
 */
export function tryLock(fd: number, flock: string): boolean {
  return spawnSync(flock, ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] }).status === 0;
}
