/** Reads stored commands for the API: always the database, never the actors. */
import type { DatabasePool } from 'slonik';
import { OUTPUT_PART_BYTES } from '../command.ts';
import { within } from '../deadline.ts';
import { StorageUnavailable } from '../errors.ts';
import type { CommandReader } from '../ports.ts';
import type { Changes } from './changes.ts';
import { EventFeed } from './event-feed.ts';
import { isUnavailable } from './pool.ts';
import type { Connection } from './sql/connection.ts';
import { selectEvents } from './sql/events.ts';
import { selectOutput } from './sql/output.ts';
import { selectCommand, selectCommands, selectStatus } from './sql/records.ts';
import { selectSummary } from './sql/summary.ts';

/** How long a client waits for a read, in ms, all waiting for a connection included. */
export const READ_MS = 5000;

/** How much output a single command shows, in bytes. JSON makes up to six of one, and all of it is built in memory. */
const OUTPUT_BYTES = 16 * 1024 * 1024;
/** How much of its output, and of its script, each command of a list shows, in bytes... */
const PREVIEW_BYTES = 64 * 1024;
/** ...and how much all commands of a list show together. */
const PAGE_BYTES = 8 * 1024 * 1024;

/** Each read throws StorageUnavailable when it takes longer than `READ_MS`. */
export function createReader(pool: DatabasePool, changes: Changes): CommandReader {
  function read<T>(run: (db: Connection) => Promise<T>): Promise<T> {
    let late = false;
    // One whose client is gone by the time it gets its connection would only keep the others waiting.
    const result = pool.connect(async (db) => (late ? (undefined as never) : run(db)));
    return within(READ_MS, result, () => {
      late = true;
      return new StorageUnavailable();
    });
  }
  const feed = new EventFeed({
    read: (place, limit) => read((db) => selectEvents(db, place, limit)),
    changes,
    mayPass: (error) => error instanceof StorageUnavailable || isUnavailable(error),
  });
  return {
    get: (uuid) => read((db) => selectCommand(db, uuid, OUTPUT_BYTES)),
    output: (uuid, query) => read((db) => selectOutput(db, uuid, query, OUTPUT_PART_BYTES)),
    watch: (uuid) => changes.watch(uuid),
    summary: (uuid) => read((db) => selectSummary(db, uuid)),
    list: (filter) => {
      const each = Math.min(PREVIEW_BYTES, Math.floor(PAGE_BYTES / filter.limit));
      return read(async (db) => [...(await selectCommands(db, filter, each))]);
    },
    statusOf: (uuid) => read((db) => selectStatus(db, uuid)),
    events: (from, signal) => feed.follow(from, signal),
  };
}
