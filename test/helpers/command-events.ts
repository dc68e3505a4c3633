/** All that can happen to a command. */
export const input = { uuid: 'u', durable: false, options: {}, stopGraceMs: 1, shutdownGraceMs: 1, timeoutMs: 1 };
export const events = [
  { type: 'start' },
  { type: 'resume', stored: { upTo: 5, base: 0, limit: { headBytes: 10, tailBytes: 10 } }, elapsedMs: 0 },
  { type: 'process.started', pid: 1 },
  { type: 'process.overflowed' },
  { type: 'stop', reason: 'stop' },
  { type: 'stop', reason: 'shutdown' },
  { type: 'kill', reason: 'stop' },
  { type: 'process.ended', end: { kind: 'exited', exitCode: 0 }, durationMs: 1 },
  { type: 'process.ended', end: { kind: 'exited', exitCode: 1 }, durationMs: 1 },
  { type: 'process.ended', end: { kind: 'signalled', signal: 'SIGTERM' }, durationMs: 1 },
  { type: 'process.ended', end: { kind: 'not_started' }, durationMs: null },
  { type: 'xstate.after.grace.command.executing.terminating' },
  { type: 'xstate.after.timeout.command.executing.running' },
  { type: 'xstate.done.actor.0.command.storing' },
  { type: 'xstate.error.actor.0.command.storing', error: new Error('refused') },
] as never[];
