import t from 'tap';
import { launcherKill } from '../../chaos/faults/launcher-kill.ts';
import { readopt } from '../../chaos/faults/readopt.ts';
import { survive } from '../helpers/chaos.ts';

t.test('a kill of the launcher keeps what is stored, and nothing lives on', (t) => survive(t, launcherKill));
t.test('after a kill of the server all live scripts are followed again, and lose nothing', (t) => survive(t, readopt));
