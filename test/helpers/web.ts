/** The dashboard in a browser, watched for everything that must never happen there. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import type { Test } from 'tap';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export interface PageOptions extends BrowserContextOptions {
  /** What may be said in the console. */
  allowed?: RegExp;
}

/**
 * Uses a page at an address, as a person of its own would, and fails the test when it has said anything in the console, met
 * an error or asked another host for something.
 */
export async function usePage(
  t: Test,
  browser: Browser,
  url: string,
  { allowed, ...options }: PageOptions,
  use: (page: Page) => Promise<void>,
): Promise<void> {
  const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1280, height: 720 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const problems: string[] = [];
  const { origin } = new URL(url);
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !allowed?.test(message.text())) problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(`${error.stack}`));
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== origin) problems.push(`asked ${request.url()}`);
  });
  try {
    await page.goto(url);
    await use(page);
  } finally {
    await context.close();
  }
  t.same(problems, [], 'nothing goes wrong on the page');
}

/** What keeps people with disabilities from using what is on the page (WCAG 2.2 AA), by rule and element. */
export async function barriersOf(page: Page): Promise<string[]> {
  // Not as an element of the page, which its policy would refuse.
  await page.evaluate(axe);
  return page.evaluate(async () => {
    // biome-ignore lint/suspicious/noExplicitAny: it is there since the line above
    const { violations } = await (globalThis as any).axe.run({
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    });
    return violations.flatMap(({ id, nodes }: { id: string; nodes: { html: string }[] }) =>
      nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`),
    );
  });
}

/**
 * How long the longest task of a page takes while something is done, in ms of processor time: what other processes of a busy
 * machine take of the time does not count.
 */
export async function longestTask(browser: Browser, page: Page, during: () => Promise<void>): Promise<number> {
  await browser.startTracing(page, { categories: ['disabled-by-default-devtools.timeline'] });
  await during();
  const trace: { traceEvents: { name: string; tdur?: number }[] } = JSON.parse(`${await browser.stopTracing()}`);
  const tasks = trace.traceEvents.filter(({ name }) => name === 'RunTask').map(({ tdur = 0 }) => tdur / 1000);
  if (tasks.length === 0) throw new Error('no task was seen');
  return Math.max(...tasks);
}
