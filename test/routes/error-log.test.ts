import { Writable } from 'node:stream';
import pino from 'pino';
import t from 'tap';
import { buildApp } from '../../src/app.ts';
import { CommandNotFound, Draining } from '../../src/errors.ts';
import { Gate } from '../../src/gate.ts';
import { PrometheusMetrics } from '../../src/metrics.ts';
import { isUnavailable } from '../../src/persistence/pool.ts';
import type { Commander } from '../../src/ports/commander.ts';
import type { CommandKeeper, CommandReader } from '../../src/ports/reader.ts';
import { accessWith } from '../helpers/access.ts';

const url = '/api/v1/commands/00000000-0000-4000-8000-000000000001';
const away = Object.assign(new Error('terminating connection due to administrator command'), { code: '57P01' });

t.test('what is logged of a request that fails', async (t) => {
  const lines: { level: number; msg: string; reason?: string; err?: unknown }[] = [];
  const sink = new Writable({
    write(line, _, done) {
      lines.push(JSON.parse(line));
      done();
    },
  });
  const gate = new Gate();
  const app = await buildApp({
    commander: gate,
    reader: gate,
    keeper: gate,
    nodes: gate,
    readiness: () => Promise.reject(new Error('not asked')),
    metrics: new PrometheusMetrics(),
    access: accessWith(),
    isStorageError: isUnavailable,
    logger: pino({ level: 'info' }, sink),
  });
  t.teardown(() => app.close());
  const get = async (error: Error) => {
    const failing = new Proxy({}, { get: () => () => Promise.reject(error) });
    gate.open(failing as Commander, failing as CommandReader, failing as CommandKeeper);
    lines.length = 0;
    const { statusCode } = await app.inject({ url });
    return { statusCode, logged: lines.filter(({ msg }) => /request/.test(msg)) };
  };

  t.same((await app.inject({ url })).statusCode, 503);
  t.same(lines, [], 'nothing while the database is not there yet');
  t.same(await get(new Draining()), { statusCode: 503, logged: [] });
  t.same(await get(new CommandNotFound()), { statusCode: 404, logged: [] });

  const { statusCode, logged } = await get(new Error('from Slonik', { cause: away }));
  t.equal(statusCode, 503);
  t.match(logged, [{ level: 40, reason: away.message }]);
  t.equal(logged[0]?.err, undefined, 'a reason in one line, no stack');

  const bug = await get(new Error('a bug'));
  t.match(bug, { statusCode: 500, logged: [{ level: 50, err: { message: 'a bug', stack: /error-log/ } }] });
});
