/** The fuzz: `npm run fuzz -- --help` says more. */
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createDatabase, startCluster } from '../test/helpers/cluster.ts';
import { fuzz } from './run.ts';
import { startFuzzed } from './server.ts';

const HELP = `npm run fuzz -- [--requests N] [--seed N]

Sends requests that are made from the OpenAPI document to a server of its own, with data in
a temporary folder: valid ones, nearly valid ones, and absurd ones. No answer may be a 5xx or
one that is not documented, nor tell anything from inside; the server must be well afterwards.

  --requests N  how many (default 100000)
  --seed N      repeats the requests of an earlier run, which has printed its seed
  --help        this`;

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '100000' },
    seed: { type: 'string', default: `${Date.now() % 1_000_000_000}` },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit();
}

const cleanup = new AsyncDisposableStack();
const scope = { teardown: (cleanUp: () => unknown) => cleanup.defer(async () => void (await cleanUp())) };
try {
  const folder = mkdtempSync(join(tmpdir(), 'shellvisor-fuzz-'));
  cleanup.defer(() => rm(folder, { recursive: true, force: true }));
  const cluster = await startCluster(join(folder, 'postgres'));
  cleanup.defer(() => cluster.stop());
  const database = await createDatabase(scope, undefined, cluster.url);
  const { url: origin, secretPaths, failures } = await startFuzzed(scope, database);
  const [count, seed] = [Number(values.requests), Number(values.seed)];
  console.log(`${count} requests, seed ${seed}`);
  const begin = performance.now();
  const onProgress = (sent: number) => sent % 10_000 === 0 && console.log(`${sent} requests`);
  const { violations, statuses } = await fuzz({ origin, count, seed, secretPaths, onProgress });
  violations.push(...failures());
  console.log(`status codes: ${JSON.stringify(statuses)}`);
  console.log(`${((performance.now() - begin) / 1000).toFixed(0)} s, ${violations.length} violations`);
  for (const violation of violations) console.log(violation);
  process.exitCode = violations.length === 0 ? 0 : 1;
} finally {
  await cleanup.disposeAsync();
}
