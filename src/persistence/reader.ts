/** Reads stored commands for the API: always the database, never the actors. */
import type { DatabasePool } from 'slonik';
import { OUTPUT_PART_BYTES } from '../command.ts';
import { within } from '../deadline.ts';
import { StorageUnavailable } from '../errors.ts';
import type { CommandReader, OutputQuery } from '../ports/reader.ts';
import type { Changes } from './changes.ts';
import { EventFeed } from './event-feed.ts';
import { gathered } from './gathered.ts';
import { isUnavailable } from './pool.ts';
import { inTime, READ_MS } from './reads.ts';
import { shared } from './shared.ts';
import { selectEvents } from './sql/events.ts';
import { selectOutput } from './sql/output.ts';
import { countCommands, selectCommand, selectCommands, selectCommandsOf, selectStatus } from './sql/records.ts';
import { selectRequest } from './sql/requests.ts';
import { GramStatistics } from './sql/search.ts';
import { selectSummary } from './sql/summary.ts';
import { selectTransitions } from './sql/transitions.ts';

/** How much output a single command shows, in bytes. JSON makes up to six of one, and all of it is built in memory. */
const OUTPUT_BYTES = 16 * 1024 * 1024;
/** How much output, script and inputs commands have that are looked at together: nobody waits for a large one. */
const SMALL_BYTES = 16 * 1024;
/** How much of its output, and of its script, each command of a list shows, in bytes... */
const PREVIEW_BYTES = 64 * 1024;
/** ...and how much all commands of a list show together. */
const PAGE_BYTES = 8 * 1024 * 1024;

/** Each read throws StorageUnavailable when it takes longer than `READ_MS`. */
export function createReader(pool: DatabasePool, changes: Changes): CommandReader {
  const read = inTime(pool);
  const statistics = new GramStatistics();
  const small = gathered(async (uuids) => {
    const found = await read((db) => selectCommandsOf(db, uuids, SMALL_BYTES));
    return new Map(found.map((record) => [record.uuid, record]));
  });
  const output = shared(
    ({ uuid, from, before, stream }: OutputQuery & { uuid: string }) => `${uuid} ${from} ${before} ${stream}`,
    ({ uuid, ...query }) => read((db) => selectOutput(db, uuid, query, OUTPUT_PART_BYTES)),
  );
  const feed = new EventFeed({
    read: (place, limit) => read((db) => selectEvents(db, place, limit)),
    changes,
    mayPass: (error) => error instanceof StorageUnavailable || isUnavailable(error),
  });
  return {
    async get(uuid, withOutput = true) {
      const record = await within(READ_MS, small(uuid), () => new StorageUnavailable());
      if (record === null) return null;
      const isWhole = !record.scriptPreview && record.inputs !== null && !(withOutput && record.outputPreview);
      if (isWhole) return record;
      return read((db) => selectCommand(db, uuid, withOutput ? OUTPUT_BYTES : 0));
    },
    output: (uuid, query) => output({ uuid, ...query }),
    watch: (uuid) => changes.watch(uuid),
    summary: (uuid) => read((db) => selectSummary(db, uuid)),
    list: (query) => {
      const each = Math.min(PREVIEW_BYTES, Math.floor(PAGE_BYTES / query.limit));
      return read((db) => selectCommands(db, query, statistics, query.withOutput ? each : 0, each));
    },
    count: (filter) => read((db) => countCommands(db, filter)),
    statusOf: (uuid) => read((db) => selectStatus(db, uuid)),
    transitions: (uuid) => read((db) => selectTransitions(db, uuid)),
    requestOf: (uuid) => read((db) => selectRequest(db, uuid)),
    events: (from, signal) => feed.follow(from, signal),
  };
}
