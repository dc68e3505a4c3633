import t from 'tap';
import { serverKill } from '../../chaos/faults/server-kill.ts';
import { upgrade } from '../../chaos/faults/upgrade.ts';
import { survive } from '../helpers/chaos.ts';

t.test('kills of a busy server lose nothing, double nothing and run nothing twice', (t) => survive(t, serverKill));
t.test('neither do upgrades', (t) => survive(t, upgrade));
