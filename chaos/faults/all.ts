/** All faults, in the order in which they are run. */
import type { Fault } from '../fault.ts';
import { serverKill } from './server-kill.ts';

export const faults: readonly Fault[] = [serverKill];
