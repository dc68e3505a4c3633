import t from 'tap';
import { launchSteps } from '../../chaos/faults/launch-steps.ts';
import { launcherKill } from '../../chaos/faults/launcher-kill.ts';
import { FAILPOINTS } from '../../src/failpoints.ts';
import { survive } from '../helpers/chaos.ts';

t.test('a kill at any step of a launch runs nothing twice and loses nothing', (t) =>
  survive(t, launchSteps, FAILPOINTS.length),
);
t.test('a kill of the launcher keeps what is stored, and nothing lives on', (t) => survive(t, launcherKill));
