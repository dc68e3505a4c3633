import t from 'tap';
import { startApp } from '../helpers/app.ts';
import { startBrowser } from '../helpers/browser.ts';

t.test('the documentation works in a browser under its own policy', async (t) => {
  const { app } = await startApp(t);
  const address = await app.listen({ port: 0 });
  const browser = await startBrowser(t);
  const page = await browser.newPage();
  const problems: string[] = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && problems.push(message.text()));
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('requestfailed', (request) => problems.push(`${request.url()} failed`));
  await page.goto(`${address}/docs/`);
  await page.getByText('Run a script; its output shows when it ends').waitFor();
  t.same(problems, []);
});
