/** Runs once before all test files: starts the cluster and makes the template. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { CLUSTER_DIR, startCluster, stopCluster, URL_FILE } from './cluster.ts';

await stopCluster(CLUSTER_DIR);
rmSync(CLUSTER_DIR, { recursive: true, force: true });
mkdirSync(dirname(CLUSTER_DIR), { recursive: true });
const { url } = await startCluster(CLUSTER_DIR);
writeFileSync(URL_FILE, url);
