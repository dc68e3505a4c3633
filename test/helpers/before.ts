/** Runs once before all test files: starts the cluster, makes the template, unpacks the browser, builds the dashboard. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { buildWebIfStale } from '../../scripts/build-web.ts';
import { unpackBrowser } from './browser.ts';
import { CLUSTER_DIR, createDatabase, startCluster, stopCluster, URL_FILE } from './cluster.ts';
import { startServer } from './server.ts';

await stopCluster(CLUSTER_DIR);
rmSync(CLUSTER_DIR, { recursive: true, force: true });
mkdirSync(dirname(CLUSTER_DIR), { recursive: true });
const [{ url }] = await Promise.all([startCluster(CLUSTER_DIR), unpackBrowser(), buildWebIfStale()]);
writeFileSync(URL_FILE, url);

/**
 * A server keeps what V8 has compiled when it ends well, and most of those of the tests are killed: without this one, each would
 * compile anew, which takes as long again as the rest of its start.
 */
async function fillCompileCache(): Promise<void> {
  await using cleanUps = new AsyncDisposableStack();
  const scope = { teardown: (cleanUp: () => unknown) => cleanUps.defer(async () => void (await cleanUp())) };
  const DATABASE_URL = await createDatabase(scope);
  const server = await startServer(scope, { DATABASE_URL, SHELLVISOR_CLUSTER: 'on' });
  await server.end();
}
if (process.env.NODE_COMPILE_CACHE !== undefined) await fillCompileCache();
