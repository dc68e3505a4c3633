import t from 'tap';
import { escapes, escapesWithoutCgroups } from '../../chaos/faults/escapes.ts';
import { survive } from '../helpers/chaos.ts';

t.test('no way to escape outlives the end of its command', (t) => survive(t, escapes));
t.test('nor does one where there are no control groups', (t) => survive(t, escapesWithoutCgroups));
