import t from 'tap';
import { nodeCut } from '../../chaos/faults/node-cut.ts';
import { nodeKill } from '../../chaos/faults/node-kill.ts';
import { survive } from '../helpers/chaos.ts';

t.test('a kill of a node loses only what it ran, and runs nothing twice', (t) => survive(t, nodeKill));
t.test('what a node that is cut off has begun is decided without it, once and for all', (t) => survive(t, nodeCut));
