import t from 'tap';
import { launchSteps } from '../../chaos/faults/launch-steps.ts';
import { FAILPOINTS } from '../../src/failpoints.ts';
import { survive } from '../helpers/chaos.ts';

for (const [i, point] of FAILPOINTS.entries()) {
  t.test(`a kill at ${point} runs nothing twice and loses nothing`, (t) => survive(t, launchSteps, i + 1));
}
