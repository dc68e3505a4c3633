import t from 'tap';
import { pausedFlood } from '../../chaos/faults/paused-flood.ts';
import { embeddedPostgresKill, postgresKill } from '../../chaos/faults/postgres-kill.ts';
import { postgresPause } from '../../chaos/faults/postgres-pause.ts';
import { survive } from '../helpers/chaos.ts';

t.test('a kill of PostgreSQL amid batches loses nothing, doubles nothing and ends no server', (t) =>
  survive(t, postgresKill),
);
t.test('neither does one of the embedded PostgreSQL', (t) => survive(t, embeddedPostgresKill));
t.test('while PostgreSQL is paused the server is healthy, and goes on afterwards', (t) => survive(t, postgresPause));
t.test('scripts that print without end wait while PostgreSQL is paused, and memory stays', (t) =>
  survive(t, pausedFlood),
);
