import t from 'tap';
import { readopt } from '../../chaos/faults/readopt.ts';
import { serverKill } from '../../chaos/faults/server-kill.ts';
import { upgrade } from '../../chaos/faults/upgrade.ts';
import { survive } from '../helpers/chaos.ts';

t.test('kills of a busy server lose nothing, double nothing and run nothing twice', (t) => survive(t, serverKill));
t.test('neither do upgrades', (t) => survive(t, upgrade));
t.test('after a kill of the server all live scripts are followed again, and lose nothing', (t) => survive(t, readopt));
