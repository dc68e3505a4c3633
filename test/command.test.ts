import t from 'tap';
import { outcomeOf, type ProcessEnd, type Stop, type StopReason } from '../src/command.ts';

const exited = (exitCode: number): ProcessEnd => ({ kind: 'exited', exitCode });
const signalled: ProcessEnd = { kind: 'signalled', signal: 'SIGKILL' };

t.test('the outcome of a command tells the truth about how it ended', async (t) => {
  const of = (end: ProcessEnd, stopReason?: StopReason) => {
    const stop = stopReason === undefined ? null : { reason: stopReason, by: null };
    const { status, reason, exitCode, signal } = outcomeOf(end, stop, 7);
    return [status, reason, exitCode, signal];
  };
  t.same(of(exited(0)), ['EXECUTED', 'exit', 0, null]);
  t.same(of(exited(3)), ['FAILED', 'exit', 3, null]);
  t.same(of(signalled), ['FAILED', 'signal', null, 'SIGKILL']);
  t.same(of(exited(0), 'stop'), ['STOPPED', 'stop', 0, null], 'a stopped script that exits 0 was stopped');
  t.same(of(signalled, 'shutdown'), ['STOPPED', 'shutdown', null, 'SIGKILL']);
  t.same(of(signalled, 'timeout'), ['FAILED', 'timeout', null, 'SIGKILL']);
  t.same(of({ kind: 'not_started' }, 'stop'), ['STOPPED', 'stop', null, null]);
  t.same(of({ kind: 'not_started' }), ['FAILED', 'lost', null, null]);
});

t.test('the reason why bash could not be started is kept', async (t) => {
  const outcome = outcomeOf({ kind: 'spawn_error', message: 'posix_spawn failed with EAGAIN' }, null, null);
  t.match(outcome, { status: 'FAILED', reason: 'spawn_error', error: 'posix_spawn failed with EAGAIN' });
});

t.test('who stopped a command is told when that is what ended it, and only then', async (t) => {
  const of = (end: ProcessEnd, stop: Stop | null) => outcomeOf(end, stop, 7).stoppedBy;
  const stop: Stop = { reason: 'stop', by: 'ann' };
  t.equal(of(exited(0), stop), 'ann');
  t.equal(of({ kind: 'not_started' }, stop), 'ann');
  t.equal(of({ kind: 'lost' }, stop), null, 'nobody knows what ended it');
  t.equal(of(exited(0), null), null);
});
