import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import t from 'tap';
import { startApp } from '../helpers/app.ts';
import { startBrowser } from '../helpers/browser.ts';
import { until } from '../helpers/until.ts';
import { barriersOf, usePage } from '../helpers/web.ts';

const browser = await startBrowser(t);
const { app, request, reaches } = await startApp(t);
const url = await app.listen({ port: 0 });

/** The command whose screen the page comes to. */
async function cameTo(page: Page): Promise<string> {
  await page.waitForURL(/\/commands\//);
  return new URL(page.url()).pathname.replace('/commands/', '');
}

/** What is said to be wrong with a field, to those too who listen to the page. */
async function problemAt(page: Page, label: string): Promise<string> {
  const field = page.getByLabel(label, { exact: true });
  await until(`something is wrong with ${label}`, async () => (await field.getAttribute('aria-invalid')) === 'true');
  const problem = page.locator(`[id="${await field.getAttribute('aria-describedby')}"][role=alert]`);
  // What is in a closed part has no text that shows, until that is opened.
  await problem.waitFor();
  return problem.innerText();
}

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
    const uuid = await cameTo(page);
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
    stdin: 'something',
  });
  await usePage(t, browser, `${url}/run?from=${body.uuid}`, {}, async (page) => {
    const script = page.getByRole('textbox', { name: 'Script', exact: true });
    await script.getByText('old').waitFor();
    await page.getByText('what the server does not tell: Stdin').waitFor();
    t.equal(await page.getByLabel('Environment').inputValue(), 'A=1');
    t.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'KEY');
    t.equal(await page.getByLabel('Value of KEY').inputValue(), '', 'of its secrets only the names are known');
    await page.getByLabel('Value of KEY').fill('another-secret');
    t.equal(await page.getByRole('checkbox').isChecked(), false, 'it is a regular one, as that was');
    await script.click();
    await page.keyboard.press('Control+a');
    await page.keyboard.type('echo new $KEY');
    await page.getByRole('button', { name: 'Run' }).click();
    const uuid = await cameTo(page);
    t.match(await reaches(uuid, 'EXECUTED'), {
      script: 'echo new $KEY',
      output: 'new ***\n',
      description: 'to be edited',
      inputs: { env: { A: '1' }, secret_env: ['KEY'] },
    });
  });
});

t.test('whoever has seen a part of the page comes to it again', async (t) => {
  await usePage(t, browser, `${url}/run`, {}, async (page) => {
    const script = page.getByRole('textbox', { name: 'Script', exact: true });
    await script.click();
    await page.keyboard.type('echo once');
    await page.keyboard.press('Control+Enter');
    await page.getByText('all went well').waitFor();
    for (let i = 0; i < 2; i++) {
      await page.keyboard.press('v');
      await page.getByText('store is done').first().waitFor();
      await page.keyboard.press('v');
      await page.getByRole('button', { name: 'Follow' }).waitFor();
    }
    await page.keyboard.press('e');
    await script.getByText('once').waitFor();
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
    await page.getByRole('textbox', { name: 'Script', exact: true }).fill('');
    await page.getByLabel('Environment').fill('');
    await page.getByText('How it runs').click();
    await page.getByLabel('Nice').press('Control+Enter');
    const problem = page.getByRole('alert').getByText(/^script must/);
    await problem.waitFor();
    await until('what belongs to no field is seen, too', async () => {
      const { y = -1 } = (await problem.boundingBox()) ?? {};
      return y > 0 && y < 640;
    });
  });
});

t.test('all that a request can say is said in the form, and the curl copied from it says the same', async (t) => {
  const permissions = ['clipboard-read', 'clipboard-write'];
  await usePage(t, browser, `${url}/run`, { permissions }, async (page) => {
    await page.getByRole('textbox', { name: 'Script', exact: true }).click();
    await page.keyboard.type('nice; ulimit -n; cat; echo "$1 it\'s ${#TOKEN} $TOKEN"');
    await page.getByLabel('Description').fill('all of it');
    await page.getByText('What it is given').click();
    await page.getByLabel('Arguments').fill('first');
    await page.getByLabel('Stdin').fill('Ynl0ZXMK');
    await page.getByLabel('How that is written').selectOption({ label: 'as base64, for any bytes' });
    await page.getByLabel('Labels').fill('team=web');
    await page.getByLabel('Folder').fill('/');
    await page.getByRole('button', { name: 'Add a secret' }).click();
    await page.getByLabel('Name', { exact: true }).fill('TOKEN');
    const value = page.getByLabel('Value of TOKEN');
    await page.evaluate("navigator.clipboard.writeText('two lines\\nof a key')");
    await value.press('Control+v');
    await page.getByText('2 lines').waitFor();
    await value.press('Backspace');
    await value.pressSequentially('top-secret');
    t.equal(await value.getAttribute('type'), 'password');
    await page.getByText('How it runs').click();
    await page.getByLabel('Timeout in seconds').fill('5 min');
    await page.getByLabel('Open files of each at most').fill('64');
    await page.getByLabel('Nice').fill('5');
    await page.getByLabel('When it prints too much').selectOption('kill');
    await page.getByLabel('lives on').check();
    await page.getByLabel('Pinned').check();
    await page.getByText('The same with curl').click();
    await page.getByText('read -rs TOKEN').waitFor();
    t.same(await barriersOf(page), []);
    t.notMatch(await page.locator('pre').innerText(), /top-secret/);
    await page.getByRole('button', { name: 'Copy' }).click();
    await page.getByText('Copied.').waitFor();
    const curl = `${await page.evaluate('navigator.clipboard.readText()')}`;
    const kept = 'JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href, history.state])';
    t.notMatch(await page.evaluate(kept), /top-secret/);

    await page.getByRole('button', { name: 'Run' }).click();
    const shown = await reaches(await cameTo(page), 'EXECUTED');
    t.match(shown, {
      output: "5\n64\nbytes\nfirst it's 10 ***\n",
      durable: true,
      pinned: true,
      labels: { team: 'web' },
      inputs: { args: ['first'], cwd: '/', secret_env: ['TOKEN'], stdin_bytes: 6 },
    });
    t.strictSame(shown.options, {
      timeout_ms: 300_000,
      keep_background: true,
      on_output_limit: 'kill',
      nice: 5,
      max_open_files: 64,
    });
    await page.getByText('Script and details').click();
    for (const fact of ['durable, pinned', 'TOKEN=***', '"first"', '6 B, which', '5:00', '64', 'end it', 'yes']) {
      await page.locator('.facts dd').getByText(fact).first().waitFor();
    }
    t.same(await barriersOf(page), []);

    const env = { PATH: process.env.PATH, TOKEN: 'top-secret' };
    const { stdout } = await promisify(execFile)('bash', ['-c', curl], { env });
    const same = await reaches(JSON.parse(stdout).uuid, 'EXECUTED');
    const { description, script, output, durable, pinned, labels, inputs, options } = shown;
    t.match(same, { description, script, output, durable, pinned, labels, inputs, options });
  });
});

t.test('each wrong value is named where it was typed, in the words of the server', async (t) => {
  const options = { allowed: /status of 400/, locale: 'ru', viewport: { width: 360, height: 640 } };
  await usePage(t, browser, `${url}/run`, options, async (page) => {
    await page.getByRole('textbox', { name: 'Скрипт', exact: true }).click();
    await page.keyboard.type('true');
    await page.getByText('Как ей выполняться').click();
    await page.getByLabel('Предел времени').fill('скоро');
    await page.getByLabel('Памяти не больше').fill('1 MiB');
    await page.getByLabel('Nice').fill('99');
    await page.getByText('Что ей передать').click();
    await page.getByLabel('Каталог').fill('relative');
    await page.getByRole('button', { name: 'Добавить секрет' }).click();
    await page.getByLabel('Имя', { exact: true }).fill('KEY');
    await page.getByLabel('Значение KEY').fill('short');
    await page.getByText('Что ей передать').click();
    await page.keyboard.press('Control+Enter');
    t.equal(await problemAt(page, 'Каталог'), 'cwd must be an absolute path of at most 4095 bytes');
    t.equal(
      await problemAt(page, 'Предел времени в секундах'),
      'timeout_ms must be a whole number from 1 to 2147483647',
    );
    t.match(await problemAt(page, 'Памяти не больше'), /^max_memory_bytes must be a whole number from 16777216 to/);
    t.equal(await problemAt(page, 'Nice: пропускает других вперёд'), 'nice must be a whole number from 0 to 19');
    t.match(await problemAt(page, 'Значение KEY'), /^secret_env.KEY must be at least 6 bytes long/);
    t.equal(
      await page.evaluate('document.activeElement.value'),
      'relative',
      'it leads to the first, closed as that was',
    );
    t.equal(await page.getByLabel('Предел времени').inputValue(), 'скоро');
    t.equal(await page.getByLabel('Значение KEY').inputValue(), 'short');
    t.same(await barriersOf(page), []);
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 360);
    await page.emulateMedia({ colorScheme: 'dark' });
    t.same(await barriersOf(page), []);

    await page.getByLabel('Каталог').fill('/');
    await page.getByLabel('Предел времени').fill('1e9 лет');
    await page.getByLabel('Памяти не больше').fill('');
    await page.getByLabel('Nice').fill('');
    await page.getByLabel('Значение KEY').fill('long-enough');
    await page.keyboard.press('Control+Enter');
    await until('one is left', async () => (await page.locator('[aria-invalid]').count()) === 1);
    await page.getByLabel('Предел времени').fill('20 мин');
    await page.keyboard.press('Control+Enter');
    t.match(await reaches(await cameTo(page), 'EXECUTED'), { options: { timeout_ms: 1_200_000 } });
    await page.getByText('Скрипт и подробности').click();
    await page.getByText('долгая (durable)', { exact: true }).waitFor();
  });
});

t.test('who runs a command again is asked for its secrets, and for nothing else', async (t) => {
  const script = 'echo "$KEY $1"';
  const { body } = await request('POST', '/api/v1/commands?wait=10', {
    script,
    secret_env: { KEY: 'long-secret' },
    args: ['same'],
    nice: 1,
  });
  await usePage(t, browser, `${url}/commands/${body.uuid}`, { allowed: /status of 400/ }, async (page) => {
    await page.getByText('all went well').waitFor();
    await page.keyboard.press('r');
    const dialog = page.getByRole('dialog', { name: 'Run again' });
    await dialog.getByLabel('Value of KEY').fill('short');
    t.same(await barriersOf(page), []);
    await page.keyboard.press('Enter');
    await dialog.getByText('secret_env.KEY must be at least 6 bytes long').waitFor();
    t.equal(await dialog.getByLabel('Value of KEY').inputValue(), 'short');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Run again', exact: true }).click();
    t.equal(await dialog.getByLabel('Value of KEY').inputValue(), '', 'nothing of it is kept');
    await dialog.getByLabel('Value of KEY').fill('another-secret');
    await page.keyboard.press('Enter');
    await page.waitForURL((to) => /commands/.test(to.pathname) && !to.pathname.includes(body.uuid));
    await dialog.waitFor({ state: 'detached' });
    const again = await reaches(await cameTo(page), 'EXECUTED');
    t.match(again, { rerun_of: body.uuid, output: '*** same\n', options: { nice: 1 } });
  });
});
