/** `npm run build:web`: builds the dashboard. With `--stale` only when it is older than what it is made of. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What it is made of. A folder is as new as the last file that came or went. */
const SOURCES = [
  'web/index.html',
  'web/vite.config.ts',
  'web/tsconfig.json',
  'web/src',
  'src/client',
  'src/command.ts',
  'src/statecharts',
  'docs/statecharts',
];
/** With the versions of the libraries that are built into it. */
const LOCK = 'package-lock.json';
/** Written last but for what is compressed beside it. */
const BUILT = 'web/dist/index.html';

/** Whether something that it is made of is newer than it, or it is not there. */
function isStale(): boolean {
  const builtAt = statSync(join(root, BUILT), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return [...SOURCES, LOCK].some((path) => newestOf(join(root, path)) > builtAt);
}

/** When the newest file or folder at a path was changed, in ms since the epoch. */
function newestOf(path: string): number {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestOf(join(path, name))));
}

/** Builds it, unless it is there and as new as what it is made of. */
export async function buildWebIfStale(): Promise<void> {
  if (isStale()) await buildWeb();
}

async function buildWeb(): Promise<void> {
  // Loaded only now: looking whether there is something to do must take no time.
  const [{ build }, { default: config }] = await Promise.all([import('vite'), import('../web/vite.config.ts')]);
  await build(config);
}

if (import.meta.main) await (process.argv.includes('--stale') ? buildWebIfStale() : buildWeb());
