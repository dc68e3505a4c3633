import { Client } from 'pg';
import t, { type Test } from 'tap';
import { Changes, EVERY_COMMAND } from '../../src/persistence/changes.ts';
import { EventFeed } from '../../src/persistence/event-feed.ts';
import { selectEvents, trimEvents } from '../../src/persistence/sql/events.ts';
import type { CommandEvent, CommandEvents } from '../../src/ports/reader.ts';
import { openDatabase } from '../helpers/database.ts';
import { withoutOpen } from '../helpers/events.ts';

async function setup(t: Test) {
  const database = await openDatabase(t);
  const changes = new Changes();
  let failing = false;
  let reads = 0;
  const feed = new EventFeed({
    async read(place, limit) {
      reads++;
      if (failing) throw new Error('away');
      return selectEvents(database.pool, place, limit);
    },
    changes,
    mayPass: (error) => (error as Error).message === 'away',
  });
  const connect = async () => {
    const client = new Client(database.url);
    await client.connect();
    t.teardown(() => client.end());
    return client;
  };
  return {
    ...database,
    /** As the journal does, it says so; what other sessions write has to be found. */
    async rows(...args: Parameters<typeof database.rows>) {
      const rows = await database.rows(...args);
      changes.tell(EVERY_COMMAND);
      return rows;
    },
    feed,
    changes,
    connect,
    reads: () => reads,
    fail(on: boolean) {
      failing = on;
    },
  };
}

let last = 0;
const uuids = Array.from({ length: 2000 }, (_, i) => `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`);
const nextUuid = () => uuids[last++] as string;
const store = (uuid: string) => ({
  text: `INSERT INTO commands (command_uuid, script, durable, created_at, owner) VALUES ($1, 'true', false, now(), 1)`,
  values: [uuid],
});

class Follower {
  readonly #batches: AsyncGenerator<CommandEvents>;
  readonly #ending = new AbortController();
  readonly seen: CommandEvent[] = [];
  place = '';
  resets = 0;

  constructor(t: Test, feed: EventFeed, from?: string) {
    this.#batches = feed.follow(from, this.#ending.signal);
    t.teardown(() => this.end());
  }
  async next(): Promise<void> {
    const { value } = await this.#batches.next();
    this.place = value.place;
    this.seen.push(...value.events);
    if (value.lost) this.resets++;
  }
  async until(count: number): Promise<CommandEvent[]> {
    while (this.seen.length < count) await this.next();
    return this.seen;
  }
  async end(): Promise<void> {
    this.#ending.abort();
    await this.#batches.return(undefined);
  }
}

const brief = (events: CommandEvent[]) => events.map(({ uuid, status }) => [uuid, status]);

t.test('each change of each command is told once, in its order, whoever makes it', async (t) => {
  const { feed, rows } = await setup(t);
  const [a, b] = [nextUuid(), nextUuid()];
  const follower = new Follower(t, feed);
  await follower.next();
  t.same(follower.seen, [], 'it begins now');
  for (const uuid of [a, b]) await rows(store(uuid).text, store(uuid).values);
  await rows(`UPDATE commands SET status = 'EXECUTING', started_at = '2020-01-01'`);
  await rows(`UPDATE commands SET owner = 2`);
  await rows(
    `UPDATE commands SET status = 'FAILED', reason = 'exit', ended_at = '2021-01-01' WHERE command_uuid = $1`,
    [a],
  );
  await rows('DELETE FROM commands');
  const events = await follower.until(7);
  t.same(brief(events), [
    [a, 'QUEUED'],
    [b, 'QUEUED'],
    [a, 'EXECUTING'],
    [b, 'EXECUTING'],
    [a, 'FAILED'],
    [a, null],
    [b, null],
  ]);
  t.same([events[2]?.at, events[4]?.at], [Date.parse('2020-01-01'), Date.parse('2021-01-01')]);
  for (const [i, { id }] of events.entries()) {
    const again = new Follower(t, feed, id);
    await again.next();
    t.same(brief(again.seen), brief(events.slice(i + 1)), `after ${id}`);
    await again.end();
  }
});

t.test('what commits late is missed by nobody and keeps nobody waiting', async (t) => {
  const { feed, rows, connect } = await setup(t);
  const follower = new Follower(t, feed);
  await follower.next();
  const [early, late, other, foreign] = [nextUuid(), nextUuid(), nextUuid(), nextUuid()];
  const [slow, slower, idle] = await Promise.all([connect(), connect(), connect()]);
  await idle.query('BEGIN; SELECT pg_current_xact_id()');
  await slow.query('BEGIN');
  await slow.query(store(late));
  await slower.query('BEGIN');
  await slower.query(store(other));
  await rows(store(early).text, store(early).values);
  t.same(brief(await follower.until(1)), [[early, 'QUEUED']], 'the transactions that are open keep nothing back');
  const place = follower.seen[0]?.id as string;
  await slower.query('COMMIT');
  await follower.until(2);
  await slow.query('COMMIT');
  await rows(store(foreign).text, store(foreign).values);
  t.same(brief(await follower.until(4)).sort(), [early, late, other, foreign].map((uuid) => [uuid, 'QUEUED']).sort());
  const all = [...follower.seen];
  for (const [i, { id }] of all.entries()) {
    const again = new Follower(t, feed, id);
    await again.until(all.length - 1 - i);
    t.same(brief(again.seen).sort(), brief(all.slice(i + 1)).sort(), `after ${id}`);
    await again.end();
  }
  await idle.query('COMMIT');
  const later = new Follower(t, feed, place);
  t.same(brief(await later.until(3)).sort(), brief(all.slice(1)).sort(), 'an old place goes on to be good');
});

t.test('one that falls behind what is kept in memory catches up from the database, and then goes on', async (t) => {
  const { feed, rows, reads } = await setup(t);
  const quick = new Follower(t, feed);
  const slow = new Follower(t, feed);
  await Promise.all([quick.next(), slow.next()]);
  const many = (count: number) =>
    rows(
      `INSERT INTO commands (command_uuid, script, durable, created_at, owner)
       SELECT gen_random_uuid(), 'true', false, now(), 1 FROM generate_series(1, $1)`,
      [count],
    );
  for (let i = 0; i < 7; i++) {
    await many(1000);
    await quick.until(1000 * (i + 1));
  }
  await slow.until(7000);
  t.same(
    slow.seen.map(({ uuid }) => uuid),
    quick.seen.map(({ uuid }) => uuid),
  );
  await many(3);
  await Promise.all([quick.until(7003), slow.until(7003)]);
  const before = reads();
  await many(1);
  await Promise.all([quick.until(7004), slow.until(7004)]);
  t.ok(reads() - before <= 2, 'both are served by the same read');
  t.equal(slow.resets, 0);
});

t.test('who comes from before what is kept is told so, once', async (t) => {
  const { feed, rows, pool } = await setup(t);
  const follower = new Follower(t, feed);
  await follower.next();
  for (let i = 0; i < 4; i++) {
    const { text, values } = store(nextUuid());
    await rows(text, values);
  }
  const [first, , third] = (await follower.until(4)).map(({ id }) => id);
  t.equal(await trimEvents(pool, 4, 60_000, 100), 0);
  t.equal(await trimEvents(pool, 2, 60_000, 1), 1, 'no more than allowed at once');
  t.equal(await trimEvents(pool, 2, 60_000, 100), 1);
  // What was open in other databases when it was read may have ended before what was trimmed.
  const kept = new Follower(t, feed, withoutOpen(third as string));
  t.equal((await kept.until(1)).length, 1);
  t.equal(kept.resets, 0);
  const lost = new Follower(t, feed, first);
  await lost.next();
  t.equal(lost.resets, 1);
  const after = nextUuid();
  await rows(store(after).text, store(after).values);
  t.same(brief(await lost.until(1)), [[after, 'QUEUED']], 'it goes on from now on');
  t.equal(lost.resets, 1);
  for (const from of ['0', '9000000000000000.0.0']) {
    const other = new Follower(t, feed, from);
    await other.next();
    t.equal(other.resets, 1, `${from} is from before all, or of another database`);
  }
  await rows(`UPDATE command_events SET at = now() - interval '2 minutes'`);
  t.equal(await trimEvents(pool, 1000, 60_000, 100), 3, 'what is old goes too');
});

t.test('while the database is away followers wait, and miss nothing', async (t) => {
  const { feed, rows, fail, changes } = await setup(t);
  const follower = new Follower(t, feed);
  await follower.next();
  fail(true);
  const uuid = nextUuid();
  await rows(store(uuid).text, store(uuid).values);
  const back = new Follower(t, feed, follower.place);
  await Promise.all([follower.next(), back.next()]);
  t.same([...follower.seen, ...back.seen], []);
  fail(false);
  t.same(brief([...(await follower.until(1)), ...(await back.until(1))]), [
    [uuid, 'QUEUED'],
    [uuid, 'QUEUED'],
  ]);
  await Promise.all([follower.end(), back.end()]);
  t.equal(changes.size <= 1, true, 'without followers nobody looks any more');
});
