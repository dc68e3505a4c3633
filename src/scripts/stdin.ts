/** What a script reads from its stdin: a file without a name, which needs nobody who pumps it into a pipe. */
import { type FileHandle, open, unlink } from 'node:fs/promises';
import type { ScriptAccount } from '../ports/process.ts';

/**
 * Opens these bytes to be read. The file has lost its name before anything is in it, so that nothing is left of it when the
 * last reader is gone, however that ends.
 * @param path where it may have its name meanwhile.
 * @param account whose it is, if not ours: who opens /dev/stdin must be let in.
 */
export async function openStdin(path: string, bytes: Uint8Array, account?: ScriptAccount): Promise<FileHandle> {
  const writer = await open(path, 'w', 0o600);
  try {
    const reader = await open(path, 'r');
    try {
      await unlink(path);
      if (account !== undefined) await writer.chown(account.uid, account.gid);
      await writer.writeFile(bytes);
      return reader;
    } catch (error) {
      await reader.close();
      throw error;
    }
  } finally {
    await writer.close();
  }
}
