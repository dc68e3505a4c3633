/** What one can see of a page from outside: how smoothly it moves, how long it is busy, how much memory it takes. */
import type { Browser, Page } from 'playwright-core';
import { startBrowser, unpackBrowser } from '../test/helpers/browser.ts';
import type { Run } from './benchmark.ts';

const MIB = 1024 * 1024;

/** Starts a browser that measures memory exactly, and does not save on what it does not show. */
export async function openBrowser(run: Run): Promise<Browser> {
  await unpackBrowser();
  return startBrowser({ teardown: (end: () => unknown) => run.cleanup.defer(async () => void (await end())) });
}

/** A page of a person of its own, with nothing of earlier ones kept. */
export async function openPage(browser: Browser, url: string): Promise<Page> {
  const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1280, height: 720 } });
  const page = await context.newPage();
  page.setDefaultTimeout(300_000);
  await page.goto(url, { waitUntil: 'commit' });
  return page;
}

/** What is alive in it, in MiB. */
export async function heapMiB(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  await session.detach();
  return usedSize / MIB;
}

/**
 * Scrolls an element by so many px each frame.
 * @returns how long each frame took, in ms.
 */
export function scroll(page: Page, selector: string, px: number, frames: number): Promise<number[]> {
  return page.evaluate(`new Promise((resolve) => {
    const taken = [];
    let before;
    const step = (now) => {
      if (before !== undefined) taken.push(now - before);
      before = now;
      if (taken.length >= ${frames}) return resolve(taken);
      const element = document.querySelector(${JSON.stringify(selector)});
      if (element !== null) element.scrollTop += ${px};
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  })`);
}

/** @param share such as 0.99. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number;
}

/** How long something takes, in ms. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
