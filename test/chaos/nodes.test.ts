import t from 'tap';
import { nodeKill } from '../../chaos/faults/node-kill.ts';
import { survive } from '../helpers/chaos.ts';

t.test('a kill of a node loses only what it ran, and runs nothing twice', (t) => survive(t, nodeKill));
