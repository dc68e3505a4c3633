/** All faults, in the order in which they are run. */
import type { Fault } from '../fault.ts';
import { launchSteps } from './launch-steps.ts';
import { launcherKill } from './launcher-kill.ts';
import { embeddedPostgresKill, postgresKill } from './postgres-kill.ts';
import { postgresPause } from './postgres-pause.ts';
import { serverKill } from './server-kill.ts';
import { upgrade } from './upgrade.ts';

export const faults: readonly Fault[] = [
  serverKill,
  launchSteps,
  launcherKill,
  upgrade,
  postgresKill,
  embeddedPostgresKill,
  postgresPause,
];
