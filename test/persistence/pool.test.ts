import { ConnectionError, sql } from 'slonik';
import t from 'tap';
import { SessionLingers } from '../../src/persistence/fence.ts';
import {
  isTransient,
  isUnavailable,
  mayPass,
  openPool,
  Patience,
  StatementTimeout,
} from '../../src/persistence/pool.ts';
import { createDatabase } from '../helpers/cluster.ts';
import { breakableNetwork } from '../helpers/network.ts';
import { until } from '../helpers/until.ts';

const one = sql.unsafe`SELECT 1 AS one`;

t.test('a statement that gets no answer is given up with its connection, and the next one gets another', async (t) => {
  const network = await breakableNetwork(t, await createDatabase(t));
  const pool = await openPool(network.url, { maxPoolSize: 1, patience: new Patience(300) });
  t.teardown(() => pool.end());
  const session = sql.unsafe`SELECT pg_backend_pid() AS pid`;
  const [before] = await pool.anyFirst(session);
  network.break();
  const error = await pool.any(one).catch((error) => error);
  t.type(error, StatementTimeout);
  t.ok(isTransient(error));
  t.ok(isUnavailable(error));
  network.mend();
  const [after] = await pool.anyFirst(session);
  t.not(after, before);
});

t.test('a transaction that gets no answer waits for it once, and tries no ROLLBACK', async (t) => {
  const network = await breakableNetwork(t, await createDatabase(t));
  let statements = 0;
  class CountingPatience extends Patience {
    override get ms() {
      statements++;
      return super.ms;
    }
  }
  const pool = await openPool(network.url, { maxPoolSize: 1, patience: new CountingPatience(500) });
  t.teardown(() => pool.end());
  for (const when of ['in the middle', 'at its commit']) {
    statements = 0;
    const transaction = pool.transaction(async (db) => {
      await db.any(one);
      network.break();
      if (when === 'in the middle') await db.any(one);
    });
    t.type(await transaction.catch((error) => error), StatementTimeout, when);
    t.equal(statements, 3, `${when}: what was sent`);
    network.mend();
    t.same(await pool.anyFirst(one), [1], `${when}: and then the pool works`);
  }
});

t.test('a pool that is the only one of its name ends what another one still has under way', async (t) => {
  const url = await createDatabase(t);
  const options = { maxPoolSize: 1, patience: new Patience(60_000), exclusiveName: 'the writer' };
  const first = await openPool(url, options);
  const other = await openPool(url, { ...options, exclusiveName: 'another writer' });
  const second = await openPool(url, options);
  t.teardown(() => Promise.all([first.end(), second.end(), other.end()]));
  await first.query(sql.unsafe`CREATE TABLE written (by text)`);
  await other.any(one);
  const late = first
    .query(sql.unsafe`INSERT INTO written SELECT 'the first one' FROM pg_sleep(1000)`)
    .catch((error) => error);
  await until('it is under way', async () => {
    const count = sql.unsafe`SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query ~ '^ *INSERT'`;
    return (await other.anyFirst(count))[0] === 1;
  });
  await second.query(sql.unsafe`INSERT INTO written VALUES ('the second one')`);
  t.ok(isTransient(await late));
  t.same(await other.anyFirst(sql.unsafe`SELECT by FROM written`), ['the second one']);
});

t.test('patience grows with each time-out up to a bound, and is as before after a success', async (t) => {
  const patience = new Patience(10, 35);
  const seen = [patience.ms];
  for (let i = 0; i < 3; i++) {
    patience.grow();
    seen.push(patience.ms);
  }
  patience.reset();
  t.same([...seen, patience.ms], [10, 20, 35, 35, 10]);
});

t.test('which errors are worth waiting for', async (t) => {
  const sqlstate = (code: string) => Object.assign(new Error('from PostgreSQL'), { code });
  for (const code of ['53100', '53300', '57P03', '57P01', '08006', '58030', 'ECONNREFUSED', 'ENOENT', 'EAI_AGAIN']) {
    t.ok(mayPass(sqlstate(code)), `${code} may pass at the start`);
    t.ok(mayPass(new Error('wrapped', { cause: sqlstate(code) })), `${code} as a cause`);
    t.ok(isTransient(sqlstate(code)), `${code} is tried again`);
    t.ok(isUnavailable(sqlstate(code)), `${code} is answered 503`);
  }
  for (const error of [new SessionLingers('the writer'), new StatementTimeout(1000)]) {
    t.ok(mayPass(error));
    const wrapped = new ConnectionError('from Slonik', { cause: error });
    t.ok(mayPass(wrapped), 'within an error of Slonik');
    t.ok(isTransient(wrapped), 'and it is tried again');
  }
  for (const message of ['timeout expired', 'Connection terminated unexpectedly']) t.ok(mayPass(new Error(message)));
  for (const code of ['28P01', '28000', '3D000', 'ENOTFOUND', 'EACCES', '42501', 'ERR_INVALID_URL']) {
    t.notOk(mayPass(sqlstate(code)), `${code} does not pass`);
  }
  t.ok(mayPass(sqlstate('55P03')), 'a table that is locked');
  t.notOk(mayPass(new Error('anything else')));
});
