/** `npm run screenshots`: takes the pictures of the dashboard in docs/images from a real server with made-up commands. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { startBrowser, unpackBrowser } from '../test/helpers/browser.ts';
import { startServer } from '../test/helpers/server.ts';
import { buildWebIfStale } from './build-web.ts';

const FOLDER = fileURLToPath(new URL('../docs/images', import.meta.url));

const TESTS = String.raw`
for i in {1..400}; do
  if ((i % 33)); then printf '\e[32m✓\e[0m checkout works with %d items \e[2m(%d ms)\e[0m\n' $i $((i % 7 + 1))
  else printf '\e[1;31m✗ expected 200, got 503\e[0m\n' >&2; fi
done
printf '\n\e[1m388 passed\e[0m, \e[1;31m12 failed\e[0m\n'
exit 1`;

const SCRIPT = `#!/bin/bash
set -euo pipefail
# Keeps the dumps of the last seven days.
target=/backup/shop-$(date +%F).sql.zst
pg_dump "$DATABASE" | zstd > "$target"
find /backup -name 'shop-*' -mtime +7 -delete
echo "wrote $target"
`;

const COMMANDS = [
  { description: 'Nightly backup', script: 'pg_dump shop | zstd > /backup/shop.sql.zst || true', pinned: true },
  { description: 'Deploy web 2.4.1', script: 'echo "copying files"; exit 0' },
  { description: '', script: '#!/bin/bash\nset -euo pipefail\ngrep -c ERROR /var/log/none.log' },
  { description: 'Integration tests', script: TESTS },
  { description: 'Certificates', script: 'echo renewed 3 certificates' },
  { description: 'Clean the cache', script: 'kill -KILL $$' },
  { description: 'Report of November', script: 'echo "{\\"orders\\": 12345}"', labels: { team: 'sales' } },
  { description: 'Too slow', script: 'sleep 60', timeout_ms: 300 },
];
const STUBBORN = { script: "trap '' TERM; while :; do sleep 0.1; done", timeout_ms: 500 };
const RUNNING = [
  {
    description: 'Import of the catalogue',
    script: 'echo "42 products" >&"$SHELLVISOR_PROGRESS_FD"; echo "42%" >&"$SHELLVISOR_PROGRESS_FD"; sleep 60',
  },
  { description: 'Tail of the access log', script: 'while sleep 1; do echo "GET / 200"; done' },
];

const endings: (() => unknown)[] = [];
const scope = { teardown: (end: () => unknown) => void endings.unshift(end) };

async function main(): Promise<void> {
  await Promise.all([unpackBrowser(), buildWebIfStale()]);
  const [{ url, request }, inspected] = await Promise.all([
    startServer(scope, {}),
    startServer(scope, { SHELLVISOR_INSPECT: '1', SHELLVISOR_STOP_GRACE_MS: '400' }),
  ]);
  for (const command of COMMANDS) await request('POST', '/api/v1/commands?wait=10', command);
  const durable = RUNNING.map((command) => request('POST', '/api/v1/durables/commands', command));
  await Promise.all(durable);
  const browser = await startBrowser(scope);

  const shoot = async (name: string, use: (page: Page) => Promise<void>, options = {}, from = url) => {
    const context = await browser.newContext({ viewport: { width: 1120, height: 520 }, locale: 'en-GB', ...options });
    const page = await context.newPage();
    await page.goto(from);
    await use(page);
    await page.screenshot({ path: join(FOLDER, `${name}.png`) });
    await context.close();
  };
  const commands = async (page: Page) => {
    await page.getByText('42 %').waitFor();
    await page.getByText('10 commands').waitFor();
  };
  await shoot('commands-light', commands, { colorScheme: 'light' });
  await shoot('commands-dark', commands, { colorScheme: 'dark' });
  await shoot(
    'command-dark',
    async (page) => {
      await page.getByText('Integration tests').click();
      await page.getByText('Ended by itself with exit code 1').waitFor();
      await page.getByText('12 failed', { exact: true }).waitFor();
    },
    { colorScheme: 'dark' },
  );
  await shoot(
    'run-light',
    async (page) => {
      await page.getByRole('grid').waitFor();
      await page.keyboard.press('n');
      await page.getByRole('textbox', { name: 'Script', exact: true }).waitFor();
      await page.keyboard.type(SCRIPT);
      await page.getByLabel('Description').fill('Nightly backup');
    },
    { colorScheme: 'light', viewport: { width: 1120, height: 640 } },
  );
  await shoot(
    'statechart-light',
    async (page) => {
      await page.getByText('Too slow').click();
      await page.getByText('Ran out of time').waitFor();
      await page.keyboard.press('v');
      await page.locator('.current').waitFor();
    },
    { colorScheme: 'light', viewport: { width: 1120, height: 760 } },
  );
  await shoot('commands-narrow', commands, { viewport: { width: 360, height: 640 } });
  await shoot(
    'system-dark',
    async (page) => {
      await page.getByRole('grid').waitFor();
      await page.keyboard.press('y');
      await page.getByText('Takes commands').waitFor();
      // Long enough for lines to be seen, with something to be seen in them.
      for (let i = 0; i < 60; i++) {
        const some = Array.from({ length: i % 17 }, () => request('POST', '/api/v1/commands', { script: 'sleep 0.2' }));
        await Promise.all([...some, page.waitForTimeout(500)]);
      }
    },
    { colorScheme: 'dark', viewport: { width: 1120, height: 900 } },
  );
  await shoot(
    'inspector-light',
    async (page) => {
      await page.getByText('accepting').waitFor();
      const { body } = await inspected.request('POST', '/api/v1/commands?wait=10', STUBBORN);
      await page.getByRole('button', { name: body.command_uuid.slice(0, 8) }).click();
      await page.getByText('storing → failed').waitFor();
    },
    { colorScheme: 'light', viewport: { width: 1120, height: 560 } },
    `${inspected.url}/inspector`,
  );
}

try {
  await main();
} finally {
  for (const end of endings) await end();
}
