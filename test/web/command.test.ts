import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import t from 'tap';
import { startApp } from '../helpers/app.ts';
import { startBrowser } from '../helpers/browser.ts';
import { freePort, serverPid, startServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';
import { barriersOf, longestTask, usePage } from '../helpers/web.ts';

const browser = await startBrowser(t);
const { app, request, submit, reaches } = await startApp(t, { stopGraceMs: 300 });
const url = await app.listen({ port: 0 });

const durable = (script: string) => submit(script, '/api/v1/durables/commands');
const line = (page: Page, text: string) => page.locator('.line').filter({ hasText: text });

/** Looks out for a text from now on. @returns what tells when it was first to be seen, in ms since the epoch. */
async function seenFirst(page: Page, text: string): Promise<() => Promise<number>> {
  const seen = await page.evaluateHandle<{ at: Promise<number> }>(`({
    at: new Promise((resolve) => {
      const look = () => document.body.innerText.includes(${JSON.stringify(text)}) && resolve(Date.now());
      new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
    }),
  })`);
  return () => seen.evaluate(({ at }) => at);
}

t.test(
  'its output shows while it runs, in its colours, stderr told apart, with its progress and its end',
  async (t) => {
    const gate = join(temporaryFolder(t), 'gate');
    const uuid = await durable(
      `printf '\\e[1;32mgreen\\e[0m and plain\\n'; echo oops >&2; echo "40% half-way" >&$SHELLVISOR_PROGRESS_FD
     until [ -e ${gate} ]; do sleep 0.02; done; echo finished; kill -KILL $$`,
    );
    for (const colorScheme of ['light', 'dark'] as const) {
      await usePage(t, browser, `${url}/commands/${uuid}`, { colorScheme }, async (page) => {
        await page.getByText('green', { exact: true }).waitFor();
        t.match(await page.getByText('green', { exact: true }).getAttribute('class'), 'fg2 bold');
        await line(page, 'oops').getByTitle('stderr').waitFor();
        t.equal(await line(page, 'green').getByTitle('stderr').count(), 0);
        await page.getByText('40 % half-way').waitFor();
        t.equal(await page.getByRole('progressbar').getAttribute('value'), '40');
        await page.getByText('Script and details').click();
        t.same(await barriersOf(page), []);
        if (colorScheme === 'light') return;
        writeFileSync(gate, '');
        await line(page, 'finished').waitFor();
        await page.getByText('Killed by SIGKILL, which did not come from shellvisor.').waitFor();
        await page.getByRole('progressbar').waitFor({ state: 'detached' });
        await page.reload();
        await line(page, 'finished').waitFor();
        t.equal(await page.locator('.line').count(), 3, 'nothing twice, nothing missing');
      });
    }
  },
);

t.test('it is stopped, and how that ended it is said in words', async (t) => {
  const polite = await durable('echo ready; sleep 60');
  const stubborn = await durable(`trap '' TERM; echo ready; while :; do sleep 1; done`);
  await usePage(t, browser, `${url}/commands/${polite}`, {}, async (page) => {
    await line(page, 'ready').waitFor();
    await page.keyboard.press('s');
    await page.getByText('Stopped by somebody: SIGTERM ended it.').waitFor();
    t.equal(await page.getByRole('button', { name: 'Stop' }).count(), 0);
  });
  await usePage(t, browser, `${url}/commands/${stubborn}`, { viewport: { width: 360, height: 640 } }, async (page) => {
    await line(page, 'ready').waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText(/Stopped by somebody: SIGKILL killed it .+ later, since it ignored SIGTERM\./).waitFor();
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 360);
    t.same(await barriersOf(page), []);
  });
});

t.test('the grace of a stop is counted down, whoever stops it, and cut short by a kill', async (t) => {
  const { app, request } = await startApp(t, { stopGraceMs: 60_000 });
  const url = await app.listen({ port: 0 });
  const script = `trap '' TERM; echo ready; while :; do sleep 0.1; done`;
  const start = async (options: object = {}): Promise<string> =>
    (await request('POST', '/api/v1/durables/commands', { script, ...options })).body.uuid;
  const patch = (uuid: string, query = '') => request('PATCH', `/api/v1/commands/${uuid}${query}`);
  const timer = (page: Page) => page.getByRole('timer');
  const secondsIn = async (page: Page) => Number((await timer(page).innerText()).replaceAll(/\D/g, ''));

  const uuid = await start({ timeout_ms: 3_600_000 });
  await usePage(t, browser, `${url}/commands/${uuid}`, {}, async (page) => {
    await line(page, 'ready').waitFor();
    await page.getByText('Script and details').click();
    await page.getByText(/^Time left(59|1):/).waitFor();
    t.equal(await timer(page).count(), 0);
    await page.keyboard.press('k');
    const seenAt = await seenFirst(page, 'SIGKILL in');
    // Somebody else stops it.
    const stop = patch(uuid);
    await page.getByText('It was asked to end by SIGTERM.').waitFor();
    const { body: steps } = await request('GET', `/api/v1/commands/${uuid}/transitions`);
    t.match(steps.at(-1), { event: 'stop', to: 'executing.terminating' }, 'no key has killed it before');
    t.comment(`a step is seen after ${(await seenAt()) - Date.parse(steps.at(-1).at)} ms`);
    const seconds = await secondsIn(page);
    t.ok(seconds > 30 && seconds <= 60, `${seconds}`);
    await until('it counts down', async () => (await secondsIn(page)) < seconds);
    t.equal(await page.getByText('Time left').count(), 0);
    t.equal(await page.getByRole('button', { name: 'Stop' }).count(), 0);
    t.same(await barriersOf(page), []);
    await page.reload();
    await until('a page that comes later counts on', async () => (await secondsIn(page)) < seconds);
    await page.keyboard.press('l');
    await page.getByText(/^SIGKILL через \d+ с$/).waitFor();
    await page.keyboard.press('l');
    await page.keyboard.press('?');
    await page.getByRole('dialog').getByText('Kill it now, while it is being stopped').waitFor();
    await page.keyboard.press('Escape');
    const endSeenAt = await seenFirst(page, 'Stopped by somebody');
    await page.keyboard.press('k');
    await page.getByText(/^Stopped by somebody: SIGKILL killed it .+ later, as somebody wanted\.$/).waitFor();
    const { body } = await request('GET', `/api/v1/commands/${uuid}`);
    t.comment(`the end is seen after ${(await endSeenAt()) - Date.parse(body.ended_at)} ms`);
    t.equal((await stop).status, 200);
    t.equal(await timer(page).count(), 0);
    t.equal(await page.getByRole('button', { name: 'Kill now' }).count(), 0);
  });

  // Long enough for bash to have set its trap.
  const late = await start({ timeout_ms: 1000 });
  const narrow = { viewport: { width: 360, height: 640 }, colorScheme: 'dark' } as const;
  await usePage(t, browser, `${url}/commands/${late}`, { ...narrow, allowed: /status of 409/ }, async (page) => {
    await page.getByText(/^SIGKILL in \d+ s$/).waitFor();
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 360);
    t.same(await barriersOf(page), []);
    await page.getByRole('button', { name: 'Kill now' }).click();
    await page.getByText(/^Ran out of time: SIGKILL killed it .+ later, as somebody wanted\.$/).waitFor();
    t.equal(await page.locator('.notice').count(), 0, 'what was wanted has come true');
  });

  const atOnce = await start();
  await usePage(t, browser, `${url}/commands/${atOnce}`, {}, async (page) => {
    await line(page, 'ready').waitFor();
    await patch(atOnce, '?kill=true');
    await page.getByText('Stopped by somebody: SIGKILL killed it at once, as somebody wanted.').waitFor();
  });
});

t.test('neither a reload nor a crash of the server leaves a gap in its output', async (t) => {
  const server = await startServer(t, { PORT: `${await freePort()}` });
  const gate = join(temporaryFolder(t), 'gate');
  const script = `seq 1000; until [ -e ${gate} ]; do sleep 0.02; done; seq 1001 2000`;
  const { body } = await server.request('POST', '/api/v1/durables/commands', { script });
  const allowed = /ERR_|Failed to load/;
  await usePage(t, browser, `${server.url}/commands/${body.uuid}`, { allowed }, async (page) => {
    await page.getByText('1,000 lines').waitFor();
    await page.reload();
    await page.getByText('1,000 lines').waitFor();
    process.kill(await serverPid(server), 'SIGKILL');
    writeFileSync(gate, '');
    await page.getByText('all went well').waitFor({ timeout: 60_000 });
    await page.getByText('2,000 lines').waitFor();
    await line(page, '2000').last().waitFor();
  });
});

t.test('it is run again, pinned and deleted', async (t) => {
  const { body } = await request('POST', '/api/v1/commands?wait=30', {
    script: 'echo again',
    description: 'the first',
  });
  await usePage(t, browser, `${url}/commands/${body.command_uuid}`, {}, async (page) => {
    await line(page, 'again').waitFor();
    await page.getByText('Ended by itself: all went well.').waitFor();
    await page.getByRole('button', { name: 'Run again' }).first().click();
    await page.waitForURL((address) => !address.pathname.endsWith(body.command_uuid));
    await line(page, 'again').waitFor();
    await page.getByRole('button', { name: 'Pin', exact: true }).click();
    await until(
      'it is pinned',
      async () =>
        (await page.getByRole('button', { name: 'Pin', exact: true }).getAttribute('aria-pressed')) === 'true',
    );
    await page.getByText('Script and details').click();
    t.equal(
      await page.getByRole('link', { name: body.command_uuid }).count(),
      1,
      'it leads to the one that it repeats',
    );
    await page.keyboard.press('d');
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.waitForURL(`${url}/`);
  });
  await usePage(t, browser, `${url}/commands/nothing`, { allowed: /status of 404/ }, async (page) => {
    await page.getByText('There is no such command (any more).').waitFor();
  });
});

t.test('an answer that comes late does not undo what is known since', async (t) => {
  const gate = join(temporaryFolder(t), 'gate');
  const uuid = await durable(`until [ -e ${gate} ]; do sleep 0.02; done`);
  await usePage(t, browser, `${url}/commands/${uuid}`, {}, async (page) => {
    await page.getByRole('button', { name: 'Stop' }).waitFor();
    const { promise: isKnown, resolve } = Promise.withResolvers<void>();
    await page.route(
      `**/${uuid}?output=false`,
      async (route) => {
        const response = await route.fetch();
        writeFileSync(gate, '');
        await isKnown;
        await route.fulfill({ response });
      },
      { times: 1 },
    );
    await page.getByRole('button', { name: 'Pin' }).click();
    await page.getByText('all went well').waitFor();
    const late = page.waitForResponse((response) => response.url().endsWith('?output=false'));
    resolve();
    await (await late).finished();
    await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))');
    t.ok(await page.getByText('all went well').isVisible());
    t.equal(await page.getByRole('button', { name: 'Stop' }).count(), 0);
  });
});

t.test('a page that can not show what it got says so, and tries again', async (t) => {
  const uuid = await submit('echo fine');
  await reaches(uuid, 'EXECUTED');
  await usePage(t, browser, url, {}, async (page) => {
    await page.route(
      `**/${uuid}?output=false`,
      async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, json: { ...(await response.json()), labels: null } });
      },
      { times: 1 },
    );
    await page.goto(`${url}/commands/${uuid}`);
    const problem = page.getByRole('alert').filter({ hasText: 'Something in this page has failed: TypeError' });
    await problem.waitFor();
    await problem.getByRole('button').click();
    await line(page, 'fine').waitFor();
  });
});

t.test('its statechart shows where it is while it runs, and its path step by step when it has ended', async (t) => {
  const gate = join(temporaryFolder(t), 'gate');
  const uuid = await durable(`echo ready; until [ -e ${gate} ]; do sleep 0.02; done; exit 3`);
  const lit = (page: Page, state: string) => page.locator(`[id="command.${state}"].current`).waitFor();
  const steps = (page: Page) => page.getByRole('list', { name: 'The path that it took' }).getByRole('button');
  const path = ['admit → queued', 'start → executing.starting', 'process.started → executing.running'];
  const whole = [...path, 'process.ended → storing', 'store is done → failed'];
  const shown = async (page: Page) =>
    (await steps(page).allInnerTexts()).map((text) => {
      t.match(text, /\n\d\d:\d\d:\d\d\.\d{3}/, 'with its time');
      return text.split('\n', 1)[0];
    });
  await usePage(t, browser, `${url}/commands/${uuid}`, { colorScheme: 'dark' }, async (page) => {
    await line(page, 'ready').waitFor();
    await page.getByRole('link', { name: 'Statechart' }).click();
    await lit(page, 'executing.running');
    t.equal(await page.locator('[id="command.executing"].around').count(), 1);
    t.same(await shown(page), path);
    t.same(await barriersOf(page), []);
    writeFileSync(gate, '');
    await lit(page, 'failed');
    t.same(await shown(page), whole);
    await page.getByRole('img', { name: 'The machine, in the state failed' }).waitFor();
  });
  const narrow = { viewport: { width: 360, height: 640 }, colorScheme: 'light' } as const;
  await usePage(t, browser, `${url}/commands/${uuid}?view=statechart`, narrow, async (page) => {
    await lit(page, 'failed');
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 360);
    t.same(await barriersOf(page), []);
    const taken = () => page.locator('.edge.taken').evaluateAll((arrows) => arrows.map(({ id }) => id).sort());
    const all = await taken();
    await page.keyboard.press('ArrowLeft');
    await page.getByText('Step 4 of 5: process.ended, to storing.').waitFor();
    await lit(page, 'storing');
    t.equal(await page.locator('.current').count(), 1);
    await page.keyboard.press('Home');
    await lit(page, 'queued');
    t.same(await taken(), ['command_initial'], 'what is ahead is not marked');
    t.ok(await page.getByRole('button', { name: 'Back' }).isDisabled());
    await page.getByRole('button', { name: 'On', exact: true }).click();
    await lit(page, 'executing.starting');
    await steps(page).nth(2).click();
    await lit(page, 'executing.running');
    t.equal(await steps(page).nth(2).getAttribute('aria-current'), 'step');
    await page.keyboard.press('End');
    await lit(page, 'failed');
    t.same(await taken(), all);
    await page.keyboard.press('l');
    await page.getByText('Шаг 5 из 5: store is done, переход в failed.').waitFor();
    await page.keyboard.press('v');
    await line(page, 'ready').waitFor();
    t.notMatch(page.url(), /view/);
  });
});

t.test('long lines are wrapped where one wants it, and nothing of them is lost', async (t) => {
  const uuid = await durable(`printf 'x%.0s' {1..1000}; printf '\\e[31m%s\\e[0m\\n' red; seq 500`);
  await usePage(t, browser, `${url}/commands/${uuid}`, {}, async (page) => {
    await page.getByText('501 lines').waitFor();
    await page.getByRole('button', { name: 'First' }).click();
    const width = () => page.locator('.lines').evaluate((element) => element.scrollWidth - element.clientWidth);
    await page.getByText('red', { exact: true }).waitFor({ state: 'attached' });
    t.ok((await width()) > 1000, 'one has to scroll to its end');
    await page.keyboard.press('w');
    await until('it is wrapped', async () => (await width()) === 0);
    const rows = await page
      .locator('.line:not(:has(.number:not(:empty))), .line:has(.number:text-is("1"))')
      .allInnerTexts();
    t.equal(rows.join('').replace(/^1/, '').replaceAll(/\s/g, ''), `${'x'.repeat(1000)}red`);
    t.match(await page.getByText('red', { exact: true }).getAttribute('class'), 'fg1');
    await page.getByRole('button', { name: 'Last' }).click();
    await page.locator('.line').getByText('500', { exact: true }).last().waitFor();
    await page.getByRole('button', { name: 'Wrap' }).click();
    await until('it is not', async () => page.locator('.line').getByText('500', { exact: true }).last().isVisible());
  });
});

t.test('the last line stays in sight when what is above the output grows', async (t) => {
  const gate = join(temporaryFolder(t), 'gate');
  const uuid = await durable(`seq 200; until [ -e ${gate} ]; do sleep 0.02; done`);
  await usePage(t, browser, `${url}/commands/${uuid}`, {}, async (page) => {
    const belowEdge = async () => {
      const [row, lines] = [await line(page, '200').last().boundingBox(), await page.locator('.lines').boundingBox()];
      return row && lines && row.y + row.height - (lines.y + lines.height);
    };
    const isSeen = (when: string) => until(when, async () => ((await belowEdge()) ?? Number.POSITIVE_INFINITY) < 1);
    await line(page, '200').last().waitFor();
    await isSeen('at first');
    writeFileSync(gate, '');
    await page.getByText('Ended by itself').waitFor();
    await isSeen('with a sentence of how it ended');
    await page.getByText('Script and details').click();
    await page.getByText('UUID').waitFor();
    await isSeen('with its details');
    await page.setViewportSize({ width: 1280, height: 560 });
    await isSeen('in a lower window');
  });
});

t.test('an output that grows is followed on while the window is made lower', async (t) => {
  const gate = join(temporaryFolder(t), 'gate');
  const uuid = await durable(`until [ -e ${gate} ]; do seq 50; sleep 0.01; done; echo the end`);
  await usePage(t, browser, `${url}/commands/${uuid}`, {}, async (page) => {
    await line(page, '50').last().waitFor();
    for (const height of [420, 720, 420, 720, 420, 720, 420]) {
      await page.setViewportSize({ width: 1280, height });
      await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))');
    }
    writeFileSync(gate, '');
    await line(page, 'the end').waitFor();
    t.equal(await page.getByRole('button', { name: 'Follow' }).getAttribute('aria-pressed'), 'true');
  });
});

t.test('a long output is followed without holding up the page, read in peace, searched and saved', async (t) => {
  const gate = join(temporaryFolder(t), 'gate');
  const uuid = await durable(
    `until [ -e ${gate} ]; do sleep 0.02; done; seq -f 'line %.0f' 200000; until [ -e ${gate}2 ]; do sleep 0.02; done; echo the end`,
  );
  await usePage(t, browser, `${url}/commands/${uuid}`, {}, async (page) => {
    await page.getByRole('button', { name: 'Follow' }).waitFor();
    const longest = await longestTask(browser, page, async () => {
      writeFileSync(gate, '');
      await line(page, 'line 200000').waitFor({ timeout: 60_000 });
    });
    t.ok(longest < 200, `${longest} ms`);
    t.ok((await page.locator('.line').count()) < 80, 'few of them are on the page');

    await page.getByRole('button', { name: 'First' }).click();
    await page.getByText('line 1', { exact: true }).waitFor();
    writeFileSync(`${gate}2`, '');
    await reaches(uuid, 'EXECUTED');
    await page.getByText('200,001 lines').waitFor();
    t.ok(await page.getByText('line 1', { exact: true }).isVisible(), 'whoever reads is left alone');

    await page.keyboard.press('/');
    await page.keyboard.type('LINE 12345');
    await page.getByText('11 lines').waitFor();
    await page.keyboard.press('Enter');
    await page.locator('.found').getByText('line 12345', { exact: true }).waitFor();
    await page.keyboard.press('Enter');
    await page.locator('.found').getByText('line 123450', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Last' }).click();
    await line(page, 'the end').waitFor();

    const saving = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download' }).click();
    const saved = await saving;
    t.equal(saved.suggestedFilename(), `${uuid}.log`);
    const text = readFileSync(await saved.path(), 'utf8');
    t.equal(text, (await request('GET', `/api/v1/commands/${uuid}/output`)).body);
  });
});
