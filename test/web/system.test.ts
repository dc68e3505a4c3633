import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import t from 'tap';
import { readFigures } from '../../web/src/system/exposition.ts';
import { sampleOf } from '../../web/src/system/sample.ts';
import { startBrowser } from '../helpers/browser.ts';
import { createDatabase } from '../helpers/cluster.ts';
import { startServer, temporaryFolder } from '../helpers/server.ts';
import { barriersOf, usePage } from '../helpers/web.ts';

t.test('figures are read from what Prometheus is told', async (t) => {
  const text = [
    '# TYPE shellvisor_commands_ended_total counter',
    'shellvisor_commands_ended_total{status="EXECUTED",reason="exit"} 5',
    'shellvisor_commands_ended_total{status="FAILED",reason="}exit 7"} 2',
    'shellvisor_queue_wait_seconds_bucket{le="+Inf"} 4',
    'shellvisor_queue_wait_seconds_sum 0.5',
    'shellvisor_queue_wait_seconds_count 4',
    'shellvisor_stored_bytes NaN',
    'process_resident_memory_bytes 1.2e+8',
  ].join('\n');
  const figures = readFigures(text);
  t.same(Object.fromEntries(figures), {
    shellvisor_commands_ended_total: 7,
    shellvisor_queue_wait_seconds_sum: 0.5,
    shellvisor_queue_wait_seconds_count: 4,
    shellvisor_stored_bytes: Number.NaN,
    process_resident_memory_bytes: 120_000_000,
  });
  const before = readFigures('shellvisor_commands_ended_total 1\nshellvisor_queue_wait_seconds_count 2');
  const look = { at: 3000, figures };
  t.match(sampleOf(look, { at: 1000, figures: before }), { throughput: 3, wait: 250, memory: 120_000_000 });
  t.same(sampleOf(look, undefined).throughput, Number.NaN, 'what grows takes two looks');
  t.same(sampleOf({ at: 9000, figures: before }, look).throughput, Number.NaN, 'a restart is no negative growth');
});

t.test('the system is shown as it is: at work, shutting down, and gone', async (t) => {
  const [browser, server] = await Promise.all([
    startBrowser(t),
    createDatabase(t).then((url) => startServer(t, { DATABASE_URL: url, SHELLVISOR_MAX_PARALLEL: '1' })),
  ]);
  const gate = join(temporaryFolder(t), 'gate');
  const script = `trap '' TERM; until [ -e ${gate} ]; do sleep 0.02; done`;
  await server.request('POST', '/api/v1/commands?wait=30', { script: 'echo done' });
  await server.request('POST', '/api/v1/commands', { script });
  await server.request('POST', '/api/v1/commands', { script: ':' });
  const chart = (page: Page, name: string) => page.getByRole('figure').filter({ hasText: name });
  await usePage(t, browser, server.url, { allowed: /ERR_|Failed to load/, colorScheme: 'dark' }, async (page) => {
    await page.getByRole('grid').waitFor();
    await page.keyboard.press('y');
    await page.getByText('Takes commands').waitFor();
    t.equal(await page.getByText('Answers', { exact: true }).count(), 1, 'the database');
    await page.getByText(`Process ${server.child.pid}`, { exact: true }).waitFor();
    await chart(page, 'Running').getByText('1 of 1').waitFor();
    await chart(page, 'Queued')
      .getByText(/^1 of /)
      .waitFor();
    await page.locator('[id="supervisor.accepting"].current').waitFor();
    t.same(await barriersOf(page), []);
    await page.setViewportSize({ width: 360, height: 640 });
    for (const key of ['t', 'l']) await page.keyboard.press(key);
    await page.getByText('Принимает команды').waitFor();
    await chart(page, 'Память сервера')
      .getByText(/^\d+\sМБ$/)
      .waitFor();
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 360);
    t.same(await barriersOf(page), []);
    await page.keyboard.press('l');
    await chart(page, 'Running').locator('path[d*="L"]').waitFor({ state: 'attached' });

    server.child.kill('SIGTERM');
    await page.getByText('Shuts down: it takes nothing new').waitFor();
    await page.locator('[id="supervisor.draining"].current').waitFor();
    writeFileSync(gate, '');
    await page.getByText('Does not answer: what is below is of before').waitFor();
    t.equal(await page.getByText('Answers', { exact: true }).count(), 0, 'nobody knows how the database is');
    t.equal(await page.locator('.current').count(), 0);
  });
});
