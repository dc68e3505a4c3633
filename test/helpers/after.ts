/** Runs once after all test files: ends the cluster. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { startEmbedded } from '../../src/persistence/embedded.ts';
import { CLUSTER_DIR } from './cluster.ts';

/** Ends the cluster if it runs, after a run that was cut off too. */
export async function stopCluster(): Promise<void> {
  if (!existsSync(join(CLUSTER_DIR, 'postmaster.pid'))) return;
  const cluster = await startEmbedded({ dataDir: CLUSTER_DIR });
  await cluster.stop();
}

if (import.meta.main) await stopCluster();
