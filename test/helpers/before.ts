/** Runs once before all test files: starts the cluster, makes the template, unpacks the browser, builds the dashboard. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { buildWebIfStale } from '../../scripts/build-web.ts';
import { unpackBrowser } from './browser.ts';
import { CLUSTER_DIR, startCluster, stopCluster, URL_FILE } from './cluster.ts';

await stopCluster(CLUSTER_DIR);
rmSync(CLUSTER_DIR, { recursive: true, force: true });
mkdirSync(dirname(CLUSTER_DIR), { recursive: true });
const [{ url }] = await Promise.all([startCluster(CLUSTER_DIR), unpackBrowser(), buildWebIfStale()]);
writeFileSync(URL_FILE, url);
