import t from 'tap';
import { startApp } from '../helpers/app.ts';
import { startBrowser } from '../helpers/browser.ts';
import { until } from '../helpers/until.ts';
import { barriersOf, usePage } from '../helpers/web.ts';

const browser = await startBrowser(t);
const { app, request, reaches } = await startApp(t);
const url = await app.listen({ port: 0 });

t.test('a script is written and run by keys alone', async (t) => {
  await usePage(t, browser, url, {}, async (page) => {
    await page.getByText('There are no commands yet.').waitFor();
    await page.keyboard.press('n');
    const script = page.getByRole('textbox', { name: 'Script', exact: true });
    await script.waitFor();
    await page.keyboard.type('cat; echo "$GREETING $1"');
    t.ok(await page.getByText('echo', { exact: true }).count(), 'words of the shell are coloured');
    t.same(await barriersOf(page), []);
    await page.getByText('What it is given').click();
    await page.getByLabel('Environment').fill('GREETING=Hi');
    await page.getByLabel('Arguments').fill('Bob');
    await page.getByLabel('Stdin').fill('read\n');
    await page.getByText('The same with curl').click();
    await page.getByText(`curl -s ${url}/api/v1/durables/commands`).waitFor();
    t.same(await barriersOf(page), []);
    await page.keyboard.press('Control+Enter');
    await page.waitForURL(/\/commands\//);
    const uuid = new URL(page.url()).pathname.replace('/commands/', '');
    t.match(await reaches(uuid, 'EXECUTED'), {
      durable: true,
      output: 'read\nHi Bob\n',
      inputs: { env: { GREETING: 'Hi' } },
    });
  });
});

t.test('a command is edited and run again', async (t) => {
  const { body } = await request('POST', '/api/v1/commands', {
    script: 'echo old',
    description: 'to be edited',
    env: { A: '1' },
    secret_env: { KEY: 'long-secret' },
  });
  await usePage(t, browser, `${url}/run?from=${body.uuid}`, {}, async (page) => {
    const script = page.getByRole('textbox', { name: 'Script', exact: true });
    await script.getByText('old').waitFor();
    await page.getByText('what the server does not tell: KEY').waitFor();
    t.equal(await page.getByLabel('Environment').inputValue(), 'A=1');
    t.equal(await page.getByRole('checkbox').isChecked(), false, 'it is a regular one, as that was');
    await script.click();
    await page.keyboard.press('Control+a');
    await page.keyboard.type('echo new');
    await page.getByRole('button', { name: 'Run' }).click();
    await page.waitForURL(/\/commands\//);
    const uuid = new URL(page.url()).pathname.replace('/commands/', '');
    t.match(await reaches(uuid, 'EXECUTED'), {
      script: 'echo new',
      description: 'to be edited',
      inputs: { env: { A: '1' } },
    });
  });
});

t.test('what is wrong with a request is said beside it, and nothing is lost', async (t) => {
  await usePage(t, browser, `${url}/run`, { allowed: /status of 400/, colorScheme: 'dark' }, async (page) => {
    await page.getByRole('textbox', { name: 'Script', exact: true }).click();
    await page.keyboard.type('true');
    await page.getByText('What it is given').click();
    await page.getByLabel('Environment').fill('nonsense');
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByRole('alert').getByText('This line is not NAME=value: nonsense').waitFor();
    await page.getByLabel('Environment').fill('LD_PRELOAD=x');
    await page.getByRole('button', { name: 'Run' }).click();
    await page
      .getByRole('alert')
      .getByText(/LD_PRELOAD/)
      .waitFor();
    t.equal(await page.getByLabel('Environment').inputValue(), 'LD_PRELOAD=x');
    t.same(await barriersOf(page), []);
    await until(
      'the page is as wide as the screen',
      async () => (await page.evaluate('document.documentElement.scrollWidth')) === 1280,
    );
    await page.setViewportSize({ width: 360, height: 640 });
    await until(
      'and on a telephone',
      async () => (await page.evaluate('document.documentElement.scrollWidth')) === 360,
    );
  });
});
