/** Reads stored commands for the API: always the database, never the actors. */
import type { DatabasePool } from 'slonik';
import type { CommandReader } from '../ports.ts';
import { selectCommand, selectCommands, selectStatus } from './commands.ts';

/** How much output a single command shows, in bytes. JSON makes up to six of one, and all of it is built in memory. */
const OUTPUT_BYTES = 16 * 1024 * 1024;
/** How much of its output, and of its script, each command of a list shows, in bytes... */
const PREVIEW_BYTES = 64 * 1024;
/** ...and how much all commands of a list show together. */
const PAGE_BYTES = 8 * 1024 * 1024;

export function createReader(pool: DatabasePool): CommandReader {
  return {
    get: (uuid) => selectCommand(pool, uuid, OUTPUT_BYTES),
    list: async (filter) => {
      const each = Math.min(PREVIEW_BYTES, Math.floor(PAGE_BYTES / filter.limit));
      return [...(await selectCommands(pool, filter, each))];
    },
    statusOf: (uuid) => selectStatus(pool, uuid),
  };
}
