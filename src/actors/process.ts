/**
 * The actor logic that owns one process: invoked while a command executes, it marks the command as executing, starts
 * bash and tells the command actor what becomes of it. Output goes from the runner to the journal, not through here.
 */
import { fromCallback } from 'xstate';
import type { ProcessEnd, RunOptions, StopReason } from '../command.ts';
import type { Journal, ProcessRunner, RunningProcess } from '../ports.ts';

/** What the command actor tells its process. */
export type ProcessCommand = { type: 'terminate'; by: StopReason; graceMs: number } | { type: 'kill' };

/** What the process tells its command actor. */
export type ProcessEvent =
  | { type: 'process.started'; pid: number | null }
  | { type: 'process.ended'; end: ProcessEnd; durationMs: number | null };

export interface ProcessInput {
  uuid: string;
  durable: boolean;
  options: RunOptions;
  /** The script is there already, and this many bytes of its output are stored; null: it has to be started. */
  storedBytes: number | null;
}

/** Makes the logic from the ports it works through. */
export function createProcessLogic(journal: Journal, runner: ProcessRunner, now: () => Date = () => new Date()) {
  return fromCallback<ProcessCommand, ProcessInput>(({ input, receive, sendBack }) => {
    let running: RunningProcess | undefined;
    let stopped = false;
    receive((command) => {
      stopped = true;
      if (command.type === 'kill') running?.kill();
      else running?.terminate(command.by, command.graceMs);
    });

    const run = async (): Promise<ProcessEvent> => {
      const { uuid, durable, options, storedBytes } = input;
      if (storedBytes !== null) {
        running = runner.attach(uuid, storedBytes, journal.openOutput(uuid, durable, storedBytes));
        return follow(running);
      }
      // Committed before bash starts: whatever crashes afterwards, a script never runs twice.
      const script = await journal.begin(uuid, now());
      if (script === null || stopped) return { type: 'process.ended', end: { kind: 'not_started' }, durationMs: null };
      running = runner.start({ uuid, script, options }, journal.openOutput(uuid, durable));
      return follow(running);
    };
    const follow = async (running: RunningProcess): Promise<ProcessEvent> => {
      const pid = await running.started;
      if (pid !== null) sendBack({ type: 'process.started', pid } satisfies ProcessEvent);
      return { type: 'process.ended', ...(await running.ended) };
    };
    run().then(sendBack, (error: Error) =>
      sendBack({
        type: 'process.ended',
        end: { kind: 'spawn_error', message: `starting the command: ${error.message}` },
        durationMs: null,
      } satisfies ProcessEvent),
    );
  });
}
