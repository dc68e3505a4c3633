import t from 'tap';
import { startApp } from '../helpers/app.ts';
import { problemsOf, startBrowser } from '../helpers/browser.ts';

t.test('the documentation works in a browser under its own policy', async (t) => {
  const { app } = await startApp(t);
  const address = await app.listen({ port: 0 });
  const browser = await startBrowser(t);
  const page = await browser.newPage();
  const problems = problemsOf(page);
  await page.goto(`${address}/docs/`);
  await page.getByText('Run a script; its output shows when it ends').waitFor();
  t.same(problems, []);
});
