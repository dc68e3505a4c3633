import t from 'tap';
import { launchSteps } from '../../chaos/faults/launch-steps.ts';
import { FAILPOINTS } from '../../src/failpoints.ts';
import { survive } from '../helpers/chaos.ts';

// Up to the spawn of bash; `launched.test.ts` has the others.
for (const point of FAILPOINTS.slice(0, FAILPOINTS.indexOf('after-spawn') + 1)) {
  t.test(`a kill at ${point} runs nothing twice and loses nothing`, (t) =>
    survive(t, launchSteps, FAILPOINTS.indexOf(point) + 1),
  );
}
