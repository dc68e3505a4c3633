import { hash } from 'node:crypto';
import { Client } from 'pg';
import t from 'tap';
import type { Idempotency, NewCommand } from '../../src/command.ts';
import { IdempotencyKeyReused, StorageUnavailable } from '../../src/errors.ts';
import { insertCommands } from '../../src/persistence/sql/commands.ts';
import type { Connection } from '../../src/persistence/sql/connection.ts';
import { findHolder, trimKeys, withdrawCommand } from '../../src/persistence/sql/idempotency-keys.ts';
import { trimRegularly } from '../../src/persistence/trimming.ts';
import { newCommand, openDatabase, type TestDatabase } from '../helpers/database.ts';
import { journalFor, OWNER } from '../helpers/journal.ts';
import { until } from '../helpers/until.ts';

const lost = Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' });

const keyOf = (key: string, request = 'first'): Idempotency => ({
  key,
  fingerprint: hash('sha256', request, 'buffer'),
});

/** A new command that its client waits for. */
const keyed = (key: string, { inTime = true } = {}) => ({
  command: newCommand({ idempotency: keyOf(key) }),
  deadline: Date.now() + (inTime ? 60_000 : -1),
});

/** The uuids of all commands, and which key has which. */
async function stored({ rows }: TestDatabase) {
  const commands = await rows('SELECT command_uuid FROM commands ORDER BY id');
  const keys = await rows('SELECT key, command_uuid FROM idempotency_keys ORDER BY key');
  return {
    commands: commands.map((row) => row.command_uuid),
    keys: Object.fromEntries(keys.map((row) => [row.key, row.command_uuid])),
  };
}

const inAnHour = () => Date.now() + 3_600_000;

/**
 * Makes a statement that waits for a transaction, which then commits, or rolls back when it is to fail.
 * @returns what the statement gave.
 */
async function behind<Result>(
  { pool, rows }: TestDatabase,
  transaction: (db: Connection) => Promise<unknown>,
  statement: () => Promise<Result>,
  failure?: Error,
): Promise<Result> {
  const opened = Promise.withResolvers<void>();
  const ending = Promise.withResolvers<void>();
  const ended = pool.transaction(async (db) => {
    await transaction(db);
    opened.resolve();
    await ending.promise;
    if (failure !== undefined) throw failure;
  });
  ended.catch(opened.reject);
  await opened.promise;
  const result = statement();
  await until('the statement waits', async () => {
    const waiting = await rows(
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    );
    return waiting.length > 0;
  });
  ending.resolve();
  await ended.catch((error) => {
    if (error !== failure) throw error;
  });
  return result;
}

t.test('a key is stored with its command, and tells which one that is', async (t) => {
  const { journal, ...database } = await journalFor(t);
  t.equal(await journal.replay(keyOf('a'), null), null);
  const { command } = keyed('a');
  t.equal(await journal.insert(command), true);
  t.equal(await journal.replay(keyOf('a'), null), command.uuid);
  await t.rejects(journal.replay(keyOf('a', 'second'), null), new IdempotencyKeyReused());
  t.equal(await journal.replay(keyOf('A'), null), null, 'another key');
  t.equal(await journal.insert(keyed('a').command), false);
  t.same(await stored(database), { commands: [command.uuid], keys: { a: command.uuid } });
  await journal.remove(command.uuid);
  t.equal(await journal.replay(keyOf('a'), null), command.uuid, 'whatever becomes of it');
});

t.test(
  'each caller has keys of his own: the same key at once, for whatever, and nobody learns of the others',
  async (t) => {
    const { journal, queries, rows } = await journalFor(t);
    const callers = ['ann', 'bob', null];
    const commands = callers.map((createdBy, i) => newCommand({ idempotency: keyOf('a', `request ${i}`), createdBy }));
    const again = newCommand({ idempotency: keyOf('a', 'request 0'), createdBy: 'ann' });
    t.same(await Promise.all([...commands, again].map((command) => journal.insert(command))), [
      true,
      true,
      true,
      false,
    ]);
    t.equal(queries(), 1);
    for (const [i, by] of callers.entries()) {
      t.equal(await journal.replay(keyOf('a', `request ${i}`), by), commands[i]?.uuid, `${by}`);
      await t.rejects(journal.replay(keyOf('a', 'another'), by), new IdempotencyKeyReused());
    }
    t.equal(await journal.replay(keyOf('a', 'request 0'), 'carl'), null);
    const marked = await rows('SELECT scope FROM idempotency_keys WHERE replayed ORDER BY scope');
    t.same(marked, [{ scope: '' }, { scope: 'ann' }, { scope: 'bob' }]);
  },
);

t.test('a look-up by one caller keeps no command of another that is given up', async (t) => {
  const { pool, rows } = await openDatabase(t);
  const [ann, bob] = ['ann', 'bob'].map((createdBy) => newCommand({ idempotency: keyOf('a'), createdBy }));
  const deadline = inAnHour();
  await insertCommands(
    pool,
    OWNER,
    [ann, bob].map((command) => ({ command: command as NewCommand, deadline })),
  );
  t.match(await findHolder(pool, keyOf('a'), 'bob', deadline), { uuid: bob?.uuid });
  t.equal(await withdrawCommand(pool, ann as NewCommand), false);
  t.equal(await withdrawCommand(pool, bob as NewCommand), true, 'that one was told of');
  t.same(await rows('SELECT command_uuid FROM commands'), [{ command_uuid: bob?.uuid }]);
  t.same(await rows('SELECT scope FROM idempotency_keys'), [{ scope: 'bob' }]);
});

t.test('of requests with one key in one batch the first one is stored', async (t) => {
  const { journal, queries, ...database } = await journalFor(t);
  const commands = ['a', 'b', 'a', 'a', 'b'].map((key) => keyed(key).command);
  const plain = newCommand();
  const [none, ...keys] = await Promise.all([plain, ...commands].map((command) => journal.insert(command)));
  t.equal(queries(), 1);
  t.same([none, keys], [true, [true, true, false, false, false]]);
  const [a, b] = commands;
  t.same(await stored(database), { commands: [plain.uuid, a?.uuid, b?.uuid], keys: { a: a?.uuid, b: b?.uuid } });
});

t.test('one that comes too late is stored neither itself nor with its key', async (t) => {
  const database = await openDatabase(t);
  const [late, inTime, alone] = [keyed('a', { inTime: false }), keyed('a'), keyed('b', { inTime: false })];
  const inserted = await insertCommands(database.pool, OWNER, [late, inTime, alone]);
  const { uuid } = inTime.command;
  t.same(inserted, { stored: new Set([uuid]), taken: new Set() });
  t.same(await stored(database), { commands: [uuid], keys: { a: uuid } });
});

t.test('a batch whose commit is in doubt is sent again, and its keys are its own', async (t) => {
  const { journal, failAfterCommit, retries, ...database } = await journalFor(t);
  failAfterCommit(2, lost);
  const [first, second] = [keyed('a').command, keyed('a').command];
  t.same(await Promise.all([journal.insert(first), journal.insert(second)]), [true, false]);
  t.equal(retries.length, 2);
  t.same(await stored(database), { commands: [first.uuid], keys: { a: first.uuid } });
});

t.test('a command that is given up leaves no key, unless a repeat was told of it: then it stays', async (t) => {
  const { journal, failAfterCommit, ...database } = await journalFor(t, { failingDeletions: 2 });
  // Committed each time, but the answer never arrives.
  failAfterCommit(Number.POSITIVE_INFINITY, lost);
  const commands = ['given up', 'repeated', 'in vain'].map((key) => keyed(key).command);
  const [, repeated] = commands;
  const kept: string[] = [];
  const refusals = commands.map((command) =>
    t.rejects(
      journal.insert(command, () => kept.push(command.uuid)),
      new StorageUnavailable(),
    ),
  );
  await Promise.all(refusals);
  t.equal((await stored(database)).commands.length, 3);
  t.equal(await journal.replay(keyOf('repeated'), null), repeated?.uuid);
  await t.rejects(journal.replay(keyOf('in vain', 'another'), null), new IdempotencyKeyReused());
  t.same(kept, []);
  failAfterCommit(0, lost);
  await journal.idle();
  t.same(await stored(database), { commands: [repeated?.uuid], keys: { repeated: repeated?.uuid } });
  t.same(kept, [repeated?.uuid], 'it is to be run');
  t.equal(await journal.replay(keyOf('given up'), null), null);
});

t.test('who tells of a command and who withdraws it take turns', async (t) => {
  const database = await openDatabase(t);
  const { pool } = database;
  const [told, withdrawn] = [keyed('told'), keyed('withdrawn')];
  const uuidOf = ({ command }: typeof told) => command.uuid;
  await insertCommands(pool, OWNER, [told, withdrawn]);

  const stays = await behind(
    database,
    async (db) => t.match(await findHolder(db, keyOf('told'), null, inAnHour()), { uuid: uuidOf(told), isSame: true }),
    () => withdrawCommand(pool, told.command),
  );
  t.equal(stays, true);
  const found = await behind(
    database,
    async (db) => t.equal(await withdrawCommand(db, withdrawn.command), false),
    () => findHolder(pool, keyOf('withdrawn'), null, inAnHour()),
  );
  t.equal(found, null);
  t.same(await stored(database), { commands: [uuidOf(told)], keys: { told: uuidOf(told) } });
  t.equal(await withdrawCommand(pool, withdrawn.command), false, 'again, when its answer got lost');
  t.equal((await insertCommands(pool, OWNER, [told])).stored.size, 1);
  t.equal(await withdrawCommand(pool, told.command), true, 'a batch that is sent again changes nothing of it');
});

t.test('a look-up that nobody waits for any more keeps no command', async (t) => {
  const { pool } = await openDatabase(t);
  const { command, deadline } = keyed('a');
  await insertCommands(pool, OWNER, [{ command, deadline }]);
  t.equal(await findHolder(pool, keyOf('a'), null, Date.now() - 1), null);
  t.equal(await withdrawCommand(pool, command), false);
});

t.test('a command that has begun, or that a client has deleted, is told of without a write', async (t) => {
  const { pool, rows } = await openDatabase(t);
  const [begun, deleted] = [keyed('begun'), keyed('deleted')];
  await insertCommands(pool, OWNER, [begun, deleted]);
  await rows("UPDATE commands SET status = 'EXECUTING' WHERE command_uuid = $1", [begun.command.uuid]);
  await rows('DELETE FROM commands WHERE command_uuid = $1', [deleted.command.uuid]);
  const before = await rows('SELECT xmin, replayed FROM idempotency_keys ORDER BY key');
  t.match(await findHolder(pool, keyOf('begun'), null, inAnHour()), { uuid: begun.command.uuid });
  t.match(await findHolder(pool, keyOf('deleted'), null, inAnHour()), { uuid: deleted.command.uuid });
  t.same(await rows('SELECT xmin, replayed FROM idempotency_keys ORDER BY key'), before);
});

t.test('servers that want the same key at once wait for one another', async (t) => {
  const database = await openDatabase(t);
  const { pool } = database;
  const [first, second, third] = [keyed('a'), keyed('a'), keyed('b')];
  const inserted = await behind(
    database,
    (db) => insertCommands(db, 1, [first]),
    () => insertCommands(pool, 2, [second, third]),
  );
  t.same(inserted, { stored: new Set([third.command.uuid]), taken: new Set([second.command.uuid]) });

  const [failed, lucky] = [keyed('c'), keyed('c')];
  const others = await behind(
    database,
    (db) => insertCommands(db, 1, [failed]),
    () => insertCommands(pool, 2, [lucky]),
    new Error('rolled back'),
  );
  t.same(others, { stored: new Set([lucky.command.uuid]), taken: new Set() });
});

t.test('many keys at once, in whichever order they come, lock nobody out', async (t) => {
  const database = await openDatabase(t);
  const { pool } = database;
  for (let round = 0; round < 10; round++) {
    const keys = Array.from({ length: 100 }, (_, i) => `${round}-${i}`);
    const batches = [keys, keys.toReversed(), keys].map((some) => some.map((key) => keyed(key)));
    const inserted = await Promise.all(batches.map((batch, i) => insertCommands(pool, i, batch)));
    const count = (what: 'stored' | 'taken') => inserted.reduce((sum, those) => sum + those[what].size, 0);
    t.same([count('stored'), count('taken')], [100, 200]);
  }
  const { commands, keys } = await stored(database);
  t.same(Object.values(keys).toSorted(), commands.toSorted(), 'each has its command');
});

t.test('a day later a key is free again', async (t) => {
  const { journal, rows, ...database } = await journalFor(t);
  const [first, second] = [keyed('a').command, keyed('a').command];
  await journal.insert(first);
  await journal.replay(keyOf('a'), null);
  await rows("UPDATE idempotency_keys SET created_at = now() - interval '23 hours 59 minutes'");
  t.equal(await journal.replay(keyOf('a'), null), first.uuid);
  await rows("UPDATE idempotency_keys SET created_at = now() - interval '24 hours 1 minute'");
  t.equal(await journal.replay(keyOf('a'), null), null);
  t.equal(await journal.replay(keyOf('a', 'second'), null), null);
  t.equal(await journal.insert(second), true);
  const [key] = await rows("SELECT replayed, created_at > now() - interval '1 minute' AS is_new FROM idempotency_keys");
  t.same(key, { replayed: false, is_new: true });
  t.equal(await journal.replay(keyOf('a'), null), second.uuid);
  t.equal(await withdrawCommand(database.pool, first), false, 'the old one has no claim to it');
  t.equal(await journal.replay(keyOf('a'), null), second.uuid);
});

t.test('old keys are deleted a few at once, but for those that are being taken anew', async (t) => {
  const database = await openDatabase(t);
  const { pool, rows } = database;
  await insertCommands(
    pool,
    OWNER,
    ['a', 'b', 'c', 'd', 'e'].map((key) => keyed(key)),
  );
  await rows("UPDATE idempotency_keys SET created_at = now() - interval '25 hours' WHERE key <> 'c'");
  const client = new Client(database.url);
  await client.connect();
  t.teardown(() => client.end());
  await client.query("BEGIN; UPDATE idempotency_keys SET created_at = now() WHERE key = 'a'");
  t.equal(await trimKeys(pool, 2), 2);
  t.equal(await trimKeys(pool, 2), 1);
  t.equal(await trimKeys(pool, 2), 0);
  await client.query('COMMIT');
  t.same(Object.keys((await stored(database)).keys), ['a', 'c']);
});

t.test('a server deletes old keys and old events from time to time', async (t) => {
  const { pool, rows } = await openDatabase(t);
  await insertCommands(pool, OWNER, [keyed('a'), keyed('b')]);
  await rows("UPDATE idempotency_keys SET created_at = now() - interval '25 hours' WHERE key = 'a'");
  await rows("UPDATE command_events SET at = now() - interval '25 hours' WHERE seq = 1");
  const ending = new AbortController();
  t.teardown(() => ending.abort());
  trimRegularly(pool, ending.signal, 10);
  const count = async (table: string) => Number((await rows(`SELECT count(*) FROM ${table}`))[0].count);
  await until(
    'the old ones are gone',
    async () => (await count('idempotency_keys')) + (await count('command_events')) === 2,
  );
  t.same(await rows('SELECT key, seq FROM idempotency_keys, command_events'), [{ key: 'b', seq: '2' }]);
});
