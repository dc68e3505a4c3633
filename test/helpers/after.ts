/** Runs once after all test files: ends the cluster. */
import { CLUSTER_DIR, stopCluster } from './cluster.ts';

await stopCluster(CLUSTER_DIR);
