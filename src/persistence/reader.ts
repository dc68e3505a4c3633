/** Reads stored commands for the API: always the database, never the actors. */
import type { DatabasePool } from 'slonik';
import type { CommandReader } from '../ports.ts';
import { selectCommand, selectCommands, selectStatus } from './commands.ts';

/** How much output a single command shows: far above all that is usual, far below what a string of V8 can hold. */
const OUTPUT_BYTES = 64 * 1024 * 1024;
/** How much output each command of a list shows. */
const PREVIEW_BYTES = 64 * 1024;

export function createReader(pool: DatabasePool): CommandReader {
  return {
    get: (uuid) => selectCommand(pool, uuid, OUTPUT_BYTES),
    list: async (filter) => [...(await selectCommands(pool, filter, PREVIEW_BYTES))],
    statusOf: (uuid) => selectStatus(pool, uuid),
  };
}
