/** The dashboard in a real Chromium, at full size: a list of a million commands, and outputs of a million lines. */
import type { Browser, Page } from 'playwright-core';
import { buildWebIfStale } from '../scripts/build-web.ts';
import { Shellvisor } from '../src/client/index.ts';
import { longestTask } from '../test/helpers/web.ts';
import { inRounds, type Run } from './benchmark.ts';
import { connect } from './database.ts';
import { type Bare, figure } from './figures.ts';
import { heapMiB, openBrowser, openPage, percentile, scroll, timed } from './page.ts';
import { type Server, startServer } from './server.ts';
import { fillUp } from './stored.ts';

/** Three rows a frame: as fast as one can still see something. */
const ROWS_PX = 108;
const LINES_PX = 100;
const FRAMES = 300;
const WATCHED_FRAMES = 60;
const FOLLOWED_LINES = 200_000;
const CHANGES = 20;

/** Gathers what was measured in each round. */
class Measured {
  readonly #what: string;
  readonly #figures: Record<string, { unit: string; values: number[]; bare: Bare | undefined }> = {};

  /** @param what what all of it is about. */
  constructor(what: string) {
    this.#what = what;
  }

  add(name: string, unit: string, value: number, bare?: { name: string; value: number }): void {
    this.#figures[name] ??= { unit, values: [], bare: bare && { name: bare.name, values: [] } };
    const { values, bare: bares } = this.#figures[name];
    values.push(value);
    if (bare !== undefined) bares?.values.push(bare.value);
  }

  print(): void {
    for (const [name, { unit, values, bare }] of Object.entries(this.#figures)) {
      figure(`dashboard, ${this.#what}: ${name}`, values, unit, bare);
    }
  }
}

export async function dashboard(run: Run): Promise<void> {
  await buildWebIfStale();
  const browser = await openBrowser(run);
  const server = await startServer(run, { SHELLVISOR_OUTPUT_LIMIT_BYTES: `${2 ** 30}` });
  const db = await connect(run, server.databaseUrl);
  const rows = run.quick ? 50_000 : 1_000_000;
  await fillUp(db, rows, true);
  const bare = await openPage(browser, 'about:blank');
  await measureList(run, browser, bare, server, rows);
  await measureOutput(run, browser, bare, server, run.quick ? 100_000 : 1_000_000);
  await measureFollowing(run, browser, server);
}

async function measureList(run: Run, browser: Browser, bare: Page, server: Server, count: number): Promise<void> {
  const measured = new Measured(`${count.toLocaleString('en')} rows`);
  await inRounds(run, async () => {
    const page = await openPage(browser, server.url);
    await page.locator('.rows .row').first().waitFor();
    await page.keyboard.press('j');
    await page.locator('.row.current').waitFor();
    measured.add('from the address to the first key', 'ms', await page.evaluate('performance.now()'));
    await page.getByText(`${count.toLocaleString('en')} commands`).waitFor();
    measured.add('… until their number is there', 'ms', await page.evaluate('performance.now()'));
    await page.keyboard.press('Escape');

    await measureScrolling(measured, browser, page, bare, '.table', ROWS_PX);
    const number = (n: number) => page.getByText(`number ${n}`, { exact: true }).first().waitFor();
    measured.add('to the last', 'ms', await timed(() => Promise.all([page.keyboard.press('End'), number(1)])));
    measured.add('to the first', 'ms', await timed(() => Promise.all([page.keyboard.press('Home'), number(count)])));

    const filtered = async (name: string, use: () => Promise<unknown>, query: string, last: string) => {
      const address = `${server.url}/api/v1/commands?limit=100&fields=command_uuid,description&${query}`;
      const api = await timed(async () => (await fetch(address)).text());
      const taken = await timed(() => Promise.all([use(), page.getByText(last, { exact: true }).first().waitFor()]));
      measured.add(name, 'ms', taken, { name: 'the request alone', value: api });
    };
    const search = page.getByRole('searchbox');
    const one = `number ${count / 2 + 1}`;
    await filtered(
      'search for one, 250 ms of which it waits',
      () => search.fill(one),
      `q=${encodeURIComponent(one)}`,
      one,
    );
    await search.fill('');
    await number(count);
    const failed = page.getByRole('button', { name: 'Failed' });
    // The newest are not among them.
    await filtered('filter by FAILED', () => failed.click(), 'status=FAILED', `number ${count - 20}`);
    measured.add('heap', 'MiB', await heapMiB(page));
    await page.context().close();
  });
  await measureChanges(measured, browser, server);
  measured.print();
}

/** Scrolls down, and beside it a page that has nothing but an element to scroll. */
async function measureScrolling(
  measured: Measured,
  browser: Browser,
  page: Page,
  bare: Page,
  selector: string,
  px: number,
): Promise<void> {
  const frames = await scroll(page, selector, px, FRAMES);
  // Apart, since to be watched so closely makes it slower.
  const longest = await longestTask(browser, page, () => scroll(page, selector, px, WATCHED_FRAMES).then(() => {}));
  await bare.bringToFront();
  const empty = await scroll(bare, 'body', px, FRAMES);
  await page.bringToFront();
  for (const share of [0.5, 0.99]) {
    const title = `a frame while scrolling, p${share * 100}`;
    measured.add(title, 'ms', percentile(frames, share), { name: 'an empty page', value: percentile(empty, share) });
  }
  measured.add('longest task while scrolling', 'ms', longest);
}

/** From the moment at which a command ends, as the server has it, until the page says so. */
async function measureChanges(measured: Measured, browser: Browser, server: Server): Promise<void> {
  const client = new Shellvisor({ url: server.url });
  const page = await openPage(browser, server.url);
  await page.getByText('Live', { exact: true }).waitFor();
  const delays: number[] = [];
  for (let n = 0; n < CHANGES; n++) {
    const name = `change ${n} of ${Date.now()}`;
    const { uuid } = await client.create({ script: 'sleep 0.4', description: name });
    const row = page.getByRole('row').filter({ hasText: name });
    await row.getByText('Running').waitFor();
    const seenAt: number = await page.evaluate(`new Promise((resolve) => {
      const row = document.getElementById('row-${uuid}');
      const look = () => {
        if (!/Done/.test(row.textContent)) return requestAnimationFrame(look);
        resolve(Date.now());
      };
      look();
    })`);
    const { ended_at: endedAt } = await client.get(uuid);
    delays.push(seenAt - Date.parse(endedAt as string));
  }
  await page.context().close();
  measured.add('from an end to its row, p50', 'ms', percentile(delays, 0.5));
  measured.add('from an end to its row, most', 'ms', Math.max(...delays));
}

const scriptOf = (lines: number) => `seq -f 'line %08.0f of a log that is about as wide as logs are' ${lines}`;
const lineOf = (n: number) => `line ${`${n}`.padStart(8, '0')} of a log that is about as wide as logs are`;
const countOf = (lines: number) => `${lines.toLocaleString('en')} lines`;

async function measureOutput(run: Run, browser: Browser, bare: Page, server: Server, lines: number): Promise<void> {
  const client = new Shellvisor({ url: server.url });
  const { uuid } = await client.create({ script: scriptOf(lines) }, { durable: true });
  while ((await client.get(uuid, { wait: 60, output: false })).ended_at === null);
  const measured = new Measured(countOf(lines));
  await inRounds(run, async () => {
    const raw = await timed(async () => (await client.output(uuid)).arrayBuffer());
    const page = await openPage(browser, 'about:blank');
    let taken = 0;
    const longest = await longestTask(browser, page, async () => {
      taken = await timed(async () => {
        await page.goto(`${server.url}/commands/${uuid}`);
        await page.locator('.total').getByText(countOf(lines)).waitFor();
      });
    });
    measured.add('until all are there', 'ms', taken, { name: 'its bytes alone', value: raw });
    measured.add('… longest task meanwhile', 'ms', longest);
    const line = (n: number) => page.locator('.line').getByText(lineOf(n), { exact: true }).waitFor();
    await line(lines);
    const jump = async (name: string, key: string, n: number) => {
      measured.add(name, 'ms', await timed(() => Promise.all([page.keyboard.press(key), line(n)])));
    };
    await jump('to the first', 'Home', 1);
    await measureScrolling(measured, browser, page, bare, '.lines', LINES_PX);
    await jump('to the last', 'End', lines);
    await page.keyboard.press('/');
    const busy = async (name: string, use: () => Promise<void>) => {
      let ms = 0;
      const most = await longestTask(browser, page, async () => {
        ms = await timed(use);
      });
      measured.add(name, 'ms', ms);
      measured.add(`${name.split(',')[0]}, longest task`, 'ms', most);
    };
    await busy('search for one, 200 ms of which it waits', async () => {
      await page.keyboard.insertText(lineOf(lines - 7).slice(0, 13));
      await page.locator('[role=status]').getByText('1 line', { exact: true }).waitFor();
    });
    await page.keyboard.press('Enter');
    await line(lines - 7);
    await page.keyboard.press('Escape');
    await busy('wrap', async () => {
      await page.getByRole('button', { name: 'Wrap' }).click();
      await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))');
    });
    measured.add('heap', 'MiB', await heapMiB(page));
    await page.context().close();
  });
  measured.print();
}

async function measureFollowing(run: Run, browser: Browser, server: Server): Promise<void> {
  const client = new Shellvisor({ url: server.url });
  const measured = new Measured(`${countOf(FOLLOWED_LINES)} followed`);
  await inRounds(run, async () => {
    // Long enough for the page to be there before the first line.
    const { uuid } = await client.create({ script: `sleep 2; ${scriptOf(FOLLOWED_LINES)}` }, { durable: true });
    const page = await openPage(browser, `${server.url}/commands/${uuid}`);
    await page.getByRole('button', { name: 'Follow' }).waitFor();
    const longest = await longestTask(browser, page, async () => {
      await page.locator('.line').getByText(lineOf(FOLLOWED_LINES), { exact: true }).waitFor();
    });
    measured.add('longest task', 'ms', longest);
    await page.context().close();
  });
  measured.print();
}
