import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { Keyring } from '../../src/access/keyring.ts';
import { lineOf } from '../../src/access/tokens.ts';
import { closeApp } from '../../src/listening.ts';
import { KEPT, type Message, Sequence, type Told } from '../../web/src/inspector/sequence.ts';
import { OTHERS_LINE, SequenceView } from '../../web/src/inspector/view.ts';
import { startApp, type TestAppOptions } from '../helpers/app.ts';
import { startBrowser } from '../helpers/browser.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';
import { barriersOf, longestTask, usePage } from '../helpers/web.ts';

/** What is told of actors, as the server would. */
class Teller {
  readonly sequence = new Sequence();
  #at = 0;

  constructor() {
    this.sequence.take({ type: 'start' });
    this.tell('actor', 'supervisor', { state: 'accepting', status: 'active' });
  }

  tell(type: Told['type'], name: string, more: object): void {
    const parent = name === 'supervisor' ? null : 'x:supervisor';
    const at = new Date(this.#at++).toISOString();
    this.sequence.take({ type, actor: `x:${name}`, name, parent, at, ...more } as Told);
  }

  event(name: string, event: string, source: string | null = null): void {
    this.tell('event', name, { event, source: source && `x:${source}` });
  }

  state(name: string, event: string, state: string, status = 'active'): void {
    this.tell('snapshot', name, { event, state, status });
  }

  create(name: string): void {
    this.tell('actor', name, { state: null, status: 'active' });
    this.event(name, 'xstate.init', 'supervisor');
    this.state(name, 'xstate.init', 'queued');
  }

  end(name: string): void {
    this.event(name, 'finish', 'supervisor');
    this.state(name, 'finish', 'executed', 'done');
  }

  viewed(filter: Partial<SequenceView['filter']> = {}): SequenceView {
    const view = new SequenceView({ of: '', event: '', ...filter }, { value: 0 } as SequenceView['version']);
    view.update(this.sequence);
    return view;
  }
}

const inWords = ({ sequence: { rows } }: Teller) =>
  rows.map((row) => {
    if (row.kind === 'gap') return 'gap';
    const { from, event, to, before, after, end, told } = row;
    return `${from?.name} ${event} ${to.name} ${before} ${after}${end ? ` ${end}` : ''} ${told.length}`;
  });

// Before any test: while none runs, tap ends the file.
const browser = await startBrowser(t);

async function serve(t: Test, options?: TestAppOptions) {
  const testApp = await startApp(t, { inspect: true, ...options });
  return { ...testApp, url: await testApp.app.listen({ port: 0 }) };
}

const { app, url, commander, database, submit, reaches } = await serve(t);

t.test('an event and the state that it led to are one row, whatever was told in between', async (t) => {
  const teller = new Teller();
  teller.event('supervisor', 'admit');
  teller.create('a');
  teller.event('a', 'start', 'supervisor');
  teller.event('a', 'stop', 'supervisor');
  teller.state('supervisor', 'admit', 'accepting');
  teller.state('a', 'start', 'executing');
  t.equal(inWords(teller).at(-1), 'supervisor stop a queued undefined 1', 'what it leads to is not known yet');
  teller.event('a', 'stop', 'supervisor');
  teller.state('a', 'stop', 'stopping');
  teller.state('a', 'stop', 'stopped', 'done');
  teller.event('supervisor', 'xstate.done.actor.a', 'a');
  teller.state('a', 'xstate.stop', 'stopped', 'stopped');
  t.same(inWords(teller), [
    'undefined undefined supervisor null accepting 1',
    'undefined admit supervisor accepting accepting 2',
    'supervisor xstate.init a null queued 3',
    'supervisor start a queued executing 2',
    'supervisor stop a executing stopping 2',
    'supervisor stop a stopping stopped done 2',
    'x:a xstate.done.actor.a supervisor accepting undefined 1',
    'undefined xstate.stop a null stopped stopped 1',
  ]);
  teller.sequence.take({ type: 'start' });
  teller.create('a');
  t.same(inWords(teller).slice(-2), ['gap', 'x:supervisor xstate.init a null queued 3'], 'nothing is known of before');
});

t.test('the latest events are kept, and how many are not is known', async (t) => {
  const teller = new Teller();
  const view = teller.viewed();
  const COUNT = KEPT * 0.6;
  for (let i = 0; i < COUNT; i++) {
    teller.event('supervisor', `event ${i}`);
    teller.state('supervisor', `event ${i}`, 'accepting');
    if (i % 1000 === 0) view.update(teller.sequence);
  }
  view.update(teller.sequence);
  const { rows, dropped } = teller.sequence;
  const told = rows.flatMap((row) => (row as Message).told).length;
  t.ok(told >= KEPT && told < KEPT * 1.05, `${told}`);
  t.equal(told + dropped, 2 * COUNT + 1);
  t.equal((rows.at(-1) as Message).event, `event ${COUNT - 1}`);
  t.same(
    view.rows.map(({ row }) => row.place),
    rows.map(({ place }) => place),
  );
  teller.sequence.clear();
  teller.event('supervisor', 'last');
  t.match(teller.sequence, { rows: { length: 1 }, dropped: 0 });
});

t.test('lines are few: who ends gives his up, and those who find none share one', async (t) => {
  const teller = new Teller();
  for (let i = 0; i < 500; i++) {
    teller.create(`c${i}`);
    if (i >= 3) teller.end(`c${i - 3}`);
  }
  const few = teller.viewed();
  t.equal(Math.max(...few.rows.map(({ lines }) => lines.length)), 6, 'outside, the supervisor, and four at once');
  for (const { row, lines, to } of few.rows) if (lines[to] !== (row as Message).to) t.fail('a line is not its own');
  for (let i = 0; i < 64; i++) teller.create(`d${i}`);
  const many = teller.viewed().rows.at(-1);
  t.match(many, { from: 1, to: OTHERS_LINE, lines: { length: OTHERS_LINE + 1 } });
  const one = teller.viewed({ of: 'd63' });
  t.match(one.rows, [{ row: { to: { name: 'd63' } }, from: 1, to: 2 }], 'alone it has one');
  t.equal(teller.viewed({ event: 'FIN' }).length, 497);
});

const rows = (page: Page) => page.getByRole('grid', { name: 'Inspector' }).locator('.rows').getByRole('row');
const rowCount = async (page: Page) => Number(await page.getByRole('grid').getAttribute('aria-rowcount'));
const row = (page: Page, text: string | RegExp) => rows(page).filter({ hasText: text });
const isLive = (page: Page) => row(page, /lives\s*accepting/).waitFor();

t.test('what the actors of a command say to each other shows as it happens, in order', async (t) => {
  const gate = join(temporaryFolder(t), 'gate');
  await usePage(t, browser, url, { colorScheme: 'dark' }, async (page) => {
    await page.getByText('There are no commands yet.').waitFor();
    await page.keyboard.press('y');
    await page.getByRole('link', { name: 'Inspector' }).waitFor();
    await page.keyboard.press('i');
    await isLive(page);
    const uuid = await submit(`until [ -e ${gate} ]; do sleep 0.02; done; exit 3`);
    const short = uuid.slice(0, 8);
    await row(page, 'process.started').waitFor();
    t.equal(await row(page, 'process.ended').count(), 0);
    t.same(await barriersOf(page), []);
    await row(page, /start\s*queued → executing.starting/).click();
    const details = page.getByRole('complementary', { name: 'What is selected' });
    t.match(
      (await details.locator('dd').allInnerTexts()).join(),
      new RegExp(`^supervisor,${uuid},queued,executing.starting,\\d\\d:\\d\\d:\\d\\d\\.\\d{3}$`),
    );
    t.match(await details.locator('pre').innerText(), /^{"type":"event",.*\n{"type":"snapshot",.*\n$/);
    t.same(await barriersOf(page), []);
    await page.keyboard.press('Escape');
    await details.waitFor({ state: 'detached' });

    await page.getByRole('button', { name: short }).click();
    await page.waitForURL(`${url}/inspector?of=${uuid}`);
    await submit('exit 0');
    writeFileSync(gate, '');
    await reaches(uuid, 'FAILED');
    await row(page, `xstate.done.actor.${short}`).waitFor();
    t.same(
      (await rows(page).locator('.label').allInnerTexts()).map((text) => text.replaceAll(/\s+/g, ' ')),
      [
        `supervisor to ${short}: created queued`,
        `supervisor to ${short}: start queued → executing.starting`,
        `${short} to process: created`,
        `process to ${short}: process.started executing.starting → executing.running`,
        `process to ${short}: process.ended executing.running → storing`,
        `${short} to storing: created`,
        `${short} to supervisor: slot.released`,
        'to process: xstate.stop stopped',
        'storing to storing: xstate.promise.resolve done',
        `storing to ${short}: xstate.done.actor.0.command.storing storing → failed, done`,
        `${short} to supervisor: xstate.done.actor.${short}`,
      ],
    );
    const heads = page.locator('.headings').getByRole('button');
    t.same(await heads.allInnerTexts(), ['outside', 'supervisor', short, 'process', 'storing']);

    await page.keyboard.press('/');
    await page.keyboard.type('PROCESS.');
    await until('the others are gone', async () => (await rows(page).count()) === 2);
    await page.getByRole('button', { name: 'Show all' }).focus();
    const download = page.waitForEvent('download');
    await page.keyboard.press('e');
    const lines = readFileSync(await (await download).path(), 'utf8')
      .trimEnd()
      .split('\n');
    t.same(
      lines.map((line) => JSON.parse(line)).map(({ type, event, state }) => [type, event, state]),
      [
        ['event', 'process.started', undefined],
        ['snapshot', 'process.started', 'executing.running'],
        ['event', 'process.ended', undefined],
        ['snapshot', 'process.ended', 'storing'],
      ],
    );
    await page.keyboard.press('a');
    await isLive(page);

    await page.keyboard.press('p');
    const before = await rows(page).count();
    await reaches(await submit('exit 0'), 'EXECUTED');
    await page.getByText(/, [1-9]\d* more ha/).waitFor();
    t.equal(await rows(page).count(), before);
    await page.keyboard.press('x');
    await page.getByText('0 rows', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    await submit('exit 0');
    await row(page, 'admit').waitFor();
  });
});

t.test('one gets there from the statechart of a command, by keys and on a telephone too', async (t) => {
  const uuid = await submit('exec sleep 60');
  const path = `/commands/${uuid}?view=statechart`;
  await usePage(t, browser, url + path, { viewport: { width: 360, height: 640 } }, async (page) => {
    await page.getByRole('link', { name: 'Inspector' }).click();
    await page.waitForURL(`${url}/inspector?of=${uuid}`);
    await row(page, /lives/).first().waitFor();
    t.equal(await row(page, /lives\s*executing/).count(), 1);
    await page.keyboard.press('Home');
    await page.keyboard.press('j');
    await page.getByText('State after').waitFor();
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 360);
    t.same(await barriersOf(page), []);
    await page.keyboard.press('v');
    await page.locator('.shaft').first().waitFor({ state: 'attached' });
    await page.keyboard.press('l');
    await page.getByRole('button', { name: 'Пауза' }).waitFor();
    t.same(await barriersOf(page), []);
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 360);
    await page.keyboard.press('?');
    await page.getByRole('dialog').getByText('Экспорт в NDJSON').waitFor();
  });
});

t.test('who may not see it is told what he lacks, and where there is none how to turn it on', async (t) => {
  const file = join(temporaryFolder(t), 'tokens');
  const lines = [lineOf('reader', ['read'], 'the-token-of-reader'), lineOf('admin', ['admin'], 'the-token-of-admin')];
  writeFileSync(file, lines.join('\n'), { mode: 0o600 });
  const { url } = await serve(t, { inspect: false, access: { keyring: new Keyring({ file }) } });
  await usePage(t, browser, `${url}/inspector`, { allowed: /status of 40[134]/ }, async (page) => {
    const signIn = async (token: string) => {
      await page.getByLabel('Token').fill(token);
      await page.getByRole('button', { name: 'Sign in' }).click();
    };
    await signIn('the-token-of-reader');
    await page.getByText('Your token lacks the scope “admin”').waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await signIn('the-token-of-admin');
    await page.getByText('SHELLVISOR_INSPECT=1 npm start').waitFor();
    t.same(await barriersOf(page), []);
    await page.keyboard.press('y');
    // It has looked twice by then, so that it knows.
    await page.getByRole('figure').first().locator('path[d*="L"]').waitFor({ state: 'attached' });
    t.equal(await page.getByRole('link', { name: 'Inspector' }).count(), 0, 'there is no way to it');
  });
});

t.test('thousands of events in a moment keep nobody waiting, and where the connection broke is said', async (t) => {
  await usePage(t, browser, `${url}/inspector`, { allowed: /ERR_|Failed to load/ }, async (page) => {
    await isLive(page);
    await commander.drain();
    // Once drained each of these changes nothing, and is told by two events.
    const happens = (times: number) => Promise.all(Array.from({ length: times }, () => commander.drain()));
    await happens(9000);
    await until('all is there', async () => (await rowCount(page)) > 9000);
    const longest = await longestTask(browser, page, async () => {
      await happens(3000);
      await page.getByText(/older events are not kept/).waitFor();
      await page.keyboard.press('Home');
      await page.keyboard.press('End');
    });
    t.ok(longest < 200, `${longest} ms`);
    t.ok((await rows(page).count()) < 60, 'what is not seen is not drawn');
    const { port } = new URL(url);
    await closeApp(app);
    await page.getByText('The connection broke off.').waitFor();
    const next = await startApp(t, { database, inspect: true });
    await next.app.listen({ port: Number(port) });
    await row(page, 'Here the connection broke off').waitFor();
    await isLive(page);
  });
});
