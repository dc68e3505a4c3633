/** Runs once before all test files: starts the cluster and makes the template. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { startEmbedded } from '../../src/persistence/embedded.ts';
import { migrate } from '../../src/persistence/migrate.ts';
import { stopCluster } from './after.ts';
import { administer, CLUSTER_DIR, databaseUrl, TEMPLATE, URL_FILE } from './cluster.ts';

await stopCluster();
rmSync(CLUSTER_DIR, { recursive: true, force: true });
mkdirSync(dirname(CLUSTER_DIR), { recursive: true });
// Nothing here has to survive a power cut.
const settings = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'max_connections=200'];
const { url } = await startEmbedded({ dataDir: CLUSTER_DIR, settings });
await administer(url, `CREATE DATABASE ${TEMPLATE}`);
await migrate(databaseUrl(url, TEMPLATE));
writeFileSync(URL_FILE, url);
