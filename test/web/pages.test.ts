import fc from 'fast-check';
import t from 'tap';
import { type Fetched, PAGE_ROWS, Pages } from '../../web/src/commands/pages.ts';
import { firstLineOf, type Row } from '../../web/src/commands/row.ts';

/** Row number `n` of a list, sent at `n` ms. */
const row = (n: number): Row => ({
  uuid: `${n}`,
  description: '',
  firstLine: '',
  status: 'EXECUTED',
  percent: null,
  reason: null,
  exitCode: null,
  signal: null,
  createdAt: n,
  startedAt: null,
  durationMs: null,
  outputBytes: 0,
  pinned: false,
  createdBy: null,
});

/** A server with commands, newest first; a cursor is the number of the row that it stands behind. */
class Server {
  numbers: number[];
  #newest: number;

  constructor(count: number) {
    this.#newest = count;
    this.numbers = Array.from({ length: count }, (_, i) => count - i);
  }

  fetch({ behind, limit }: { behind: string | undefined; limit: number }): Fetched {
    const found = this.numbers.filter((n) => behind === undefined || n < Number(behind));
    const rows = found.slice(0, limit).map(row);
    return { rows, cursor: found.length > limit ? rows.at(-1)?.uuid : undefined };
  }

  add(count: number): void {
    this.#newest += count;
    this.numbers.unshift(...Array.from({ length: count }, (_, i) => this.#newest - i));
  }
}

/** Fetches until everything is known. */
function readAll(pages: Pages, server: Server): void {
  for (let { more } = pages; more !== undefined; { more } = pages) pages.append(server.fetch(more));
}

/** Fetches what is missing or old, and gives the rows. */
function look(pages: Pages, server: Server, from = 0, to = pages.length): number[] {
  for (let [wanted] = pages.missing(from, to); wanted !== undefined; [wanted] = pages.missing(from, to)) {
    pages.refresh(wanted.behind, server.fetch(wanted));
  }
  const end = Math.min(to, pages.length);
  return Array.from({ length: end - from }, (_, i) => Number(pages.at(from + i)?.uuid));
}

t.test('a list of a million is read page by page, and few rows of it are kept', async (t) => {
  const pages = new Pages();
  const size = 500;
  for (let n = 1_000_000; n > 0; n -= size) {
    const rows = Array.from({ length: size }, (_, i) => row(n - i));
    pages.append({ rows, cursor: n > size ? rows.at(-1)?.uuid : undefined });
    pages.keep(pages.length - 300, pages.length);
  }
  t.equal(pages.length, 1_000_000);
  t.ok(pages.isComplete);
  t.ok(pages.kept <= 3 * size, `${pages.kept} rows`);
  t.equal(pages.at(999_999)?.uuid, '1');
  t.equal(pages.indexOf('1'), 999_999);
  t.equal(pages.at(500_000), undefined, 'it is not kept');
  t.same(pages.missing(500_000, 500_010), [{ behind: '500001', limit: size + 10 }]);
});

t.test('one goes to the end of a long list, and from there to any place, without what is between', async (t) => {
  const server = new Server(10_000);
  const pages = new Pages();
  t.equal(pages.more?.behind, undefined);
  pages.reach(10_000);
  t.equal(pages.length, 0, 'not before something is known');
  pages.append(server.fetch({ behind: undefined, limit: PAGE_ROWS }));
  pages.reach(10_003);
  t.ok(pages.isComplete);
  t.equal(pages.length, 10_003, 'there may be fewer than was said');
  t.equal(pages.far(120), undefined, 'near to what is known nothing else is needed');
  /** What is fetched when a place is looked at. */
  const lookAt = (index: number) => {
    let fetched = 0;
    for (let far = pages.far(index); far !== undefined; far = pages.far(index)) {
      const [before] = server.fetch({ behind: undefined, limit: far }).rows.slice(-1);
      pages.divide(far, before as Row, (before as Row).uuid);
      fetched++;
    }
    for (let [wanted] = pages.missing(index, index + 30); wanted; [wanted] = pages.missing(index, index + 30)) {
      pages.refresh(wanted.behind, server.fetch(wanted));
      fetched++;
    }
    t.ok(fetched <= 4, `${fetched} requests`);
  };
  lookAt(9970);
  t.equal(pages.length, 10_000, 'how many there are is known at the end');
  t.equal(pages.at(9999)?.uuid, '1');
  for (const index of [9500, 5000, 4900, 100, 0]) {
    lookAt(index);
    t.equal(pages.at(index)?.uuid, `${10_000 - index}`);
  }
  t.ok(pages.kept < 1500, `${pages.kept} rows`);
  t.same(look(pages, server), server.numbers, 'nothing is missing or twice');
});

t.test('the newest come in front, and what was known keeps its order', async (t) => {
  const server = new Server(250);
  const pages = new Pages();
  readAll(pages, server);
  server.add(30);
  t.ok(pages.refresh(undefined, server.fetch({ behind: undefined, limit: PAGE_ROWS })));
  t.equal(pages.length, 280);
  t.equal(pages.indexOf('250'), 30);
  t.same(look(pages, server), server.numbers);
});

t.test('when more have come than one look shows it says so, and changes nothing', async (t) => {
  const server = new Server(250);
  const pages = new Pages();
  readAll(pages, server);
  server.add(PAGE_ROWS + 50);
  t.notOk(pages.refresh(undefined, server.fetch({ behind: undefined, limit: PAGE_ROWS })));
  t.equal(pages.at(0)?.uuid, '250');
  t.equal(pages.length, 250);
});

t.test('a row changes in its place, and is gone when it is deleted', async (t) => {
  const server = new Server(150);
  const pages = new Pages();
  readAll(pages, server);
  pages.update('40', { status: 'FAILED' });
  t.equal(pages.at(pages.indexOf('40'))?.status, 'FAILED');
  pages.remove('40');
  pages.remove('41');
  t.equal(pages.indexOf('40'), -1);
  t.equal(pages.length, 148);
  t.equal(pages.indexOf('1'), 147);
});

t.test('whatever comes, goes and is forgotten meanwhile, a look shows what the server has', async () => {
  const step = fc.oneof(
    fc.record({ type: fc.constant('add' as const), count: fc.integer({ min: 1, max: 90 }) }),
    fc.record({
      type: fc.constant('delete' as const),
      share: fc.double({ min: 0, max: 0.999, noNaN: true }),
      count: fc.integer({ min: 1, max: 120 }),
      isTold: fc.boolean(),
    }),
    fc.record({ type: fc.constant('forget' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 700 }), fc.array(step, { maxLength: 12 }), (count, steps) => {
      const server = new Server(count);
      const pages = new Pages();
      readAll(pages, server);
      for (const one of steps) {
        if (one.type === 'add') server.add(one.count);
        if (one.type === 'delete') {
          const gone = server.numbers.splice(Math.floor(one.share * server.numbers.length), one.count);
          if (one.isTold) for (const n of gone) pages.remove(`${n}`);
        }
        if (one.type === 'forget') {
          const from = Math.floor(one.share * pages.length);
          pages.keep(from, from + 50);
        }
        if (!pages.refresh(undefined, server.fetch({ behind: undefined, limit: PAGE_ROWS }))) return true;
        readAll(pages, server);
      }
      pages.outdateAll();
      const shown = look(pages, server);
      return shown.every((n, i) => n === server.numbers[i]) && shown.length === server.numbers.length;
    }),
    { numRuns: 200 },
  );
});

t.test('of a script the line shows that says what it does', async (t) => {
  t.equal(firstLineOf('#!/usr/bin/env bash\n\nset -euo pipefail\n  make all\nmake more'), 'make all');
  t.equal(firstLineOf('echo 1'), 'echo 1');
  t.equal(firstLineOf('#!/bin/sh\n'), '#!/bin/sh', 'where there is nothing else, what there is');
  t.equal(firstLineOf('x'.repeat(5000)).length, 300);
});
