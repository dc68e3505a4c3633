import t from 'tap';
import { ignoredTerm } from '../../chaos/faults/ignored-term.ts';
import { deleteRace, stopRace } from '../../chaos/faults/races.ts';
import { shutdownQueue } from '../../chaos/faults/shutdown-queue.ts';
import { stopStorm } from '../../chaos/faults/stop-storm.ts';
import { survive } from '../helpers/chaos.ts';

t.test('a queue outlives shutdowns, and each of its commands runs once', (t) => survive(t, shutdownQueue));
t.test('a thousand stops of one command send one signal and get one answer', (t) => survive(t, stopStorm));
t.test('a stop that races the exit leads to one terminal state, for ever', (t) => survive(t, stopRace));
t.test('a delete that races the exit leaves nothing', (t) => survive(t, deleteRace));
t.test('a script that ignores SIGTERM is dead when its stop is answered', (t) => survive(t, ignoredTerm));
