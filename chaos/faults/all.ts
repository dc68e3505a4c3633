/** All faults, in the order in which they are run. */
import type { Fault } from '../fault.ts';
import { escapes, escapesWithoutCgroups } from './escapes.ts';
import { ignoredTerm } from './ignored-term.ts';
import { launchSteps } from './launch-steps.ts';
import { launcherKill } from './launcher-kill.ts';
import { nodeCut } from './node-cut.ts';
import { nodeKill } from './node-kill.ts';
import { pausedFlood } from './paused-flood.ts';
import { embeddedPostgresKill, postgresKill } from './postgres-kill.ts';
import { postgresPause } from './postgres-pause.ts';
import { deleteRace, stopRace } from './races.ts';
import { readopt } from './readopt.ts';
import { serverKill } from './server-kill.ts';
import { shutdownQueue } from './shutdown-queue.ts';
import { stopStorm } from './stop-storm.ts';
import { upgrade } from './upgrade.ts';

export const faults: readonly Fault[] = [
  serverKill,
  launchSteps,
  launcherKill,
  upgrade,
  readopt,
  postgresKill,
  embeddedPostgresKill,
  postgresPause,
  pausedFlood,
  shutdownQueue,
  stopStorm,
  stopRace,
  deleteRace,
  ignoredTerm,
  escapes,
  escapesWithoutCgroups,
  nodeKill,
  nodeCut,
];
