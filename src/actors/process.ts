/**
 * The actor logic that owns one process: invoked while a command executes, it marks the command as executing, starts
 * bash and tells the command actor what becomes of it. Output and progress go from the runner to the journal: no actor
 * hears of them.
 */
import { fromCallback } from 'xstate';
import type { ProcessEnd, RunOptions, Stop, StoredOutput } from '../command.ts';
import type { CommandOutput, Journal } from '../ports/journal.ts';
import type { OutputSink, ProcessRunner, RunningProcess } from '../ports/process.ts';
import type { WaitingSecrets } from './waiting-secrets.ts';

/** What the command actor tells its process. */
export type ProcessCommand = { type: 'terminate'; stop: Stop; graceMs: number } | { type: 'kill'; stop: Stop };

/** What the process tells its command actor. */
export type ProcessEvent =
  | { type: 'process.started'; pid: number | null }
  /** It printed more than is kept, and its client wants it ended then. */
  | { type: 'process.overflowed' }
  | { type: 'process.ended'; end: ProcessEnd; durationMs: number | null };

export interface ProcessInput {
  uuid: string;
  durable: boolean;
  options: RunOptions;
  /** The script is there already, and this of its output is stored; null: it has to be started. */
  stored: StoredOutput | null;
}

/**
 * Makes the logic from the ports it works through.
 * @param secrets of the commands that wait here, by uuid: stored nowhere else. Who starts takes its own.
 */
export function createProcessLogic(
  journal: Journal,
  runner: ProcessRunner,
  secrets: WaitingSecrets,
  now: () => Date = () => new Date(),
) {
  return fromCallback<ProcessCommand, ProcessInput>(({ input, receive, sendBack }) => {
    let running: RunningProcess | undefined;
    let stopped = false;
    receive((command) => {
      stopped = true;
      if (command.type === 'kill') running?.kill(command.stop);
      else running?.terminate(command.stop, command.graceMs);
    });

    const run = async (): Promise<ProcessEvent> => {
      const { uuid, durable, options, stored } = input;
      if (stored !== null) {
        const { upTo, base } = stored;
        running = runner.attach(uuid, upTo - base, behind(base, watched(journal.openOutput(uuid, durable, stored))));
        return follow(running);
      }
      // Committed before bash starts: whatever crashes afterwards, a script never runs twice.
      const begun = await journal.begin(uuid, now());
      if (begun === null || stopped) return { type: 'process.ended', end: { kind: 'not_started' }, durationMs: null };
      const { script, inputs, secretNames, output } = begun;
      const secretEnv = secrets.take(uuid);
      if (secretNames.some((name) => !Object.hasOwn(secretEnv, name))) {
        return { type: 'process.ended', end: { kind: 'secrets_lost' }, durationMs: null };
      }
      const spec = { uuid, script, options, inputs, secretEnv };
      running = runner.start(spec, behind(output.base, watched(journal.openOutput(uuid, durable, output))));
      return follow(running);
    };
    const watched = (output: CommandOutput): CommandOutput => {
      if (input.options.onOutputLimit === 'kill') {
        void output.overLimit.then(() => sendBack({ type: 'process.overflowed' } satisfies ProcessEvent));
      }
      return output;
    };
    const follow = async (running: RunningProcess): Promise<ProcessEvent> => {
      running.onProgress = (progress) => journal.progress(input.uuid, progress);
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

/** The output of a run that does not begin with the first byte: the runner counts from there. */
function behind(base: number, output: CommandOutput): OutputSink {
  if (base === 0) return output;
  const sink: OutputSink = {
    write: (stream, bytes, offset) => output.write(stream, bytes, offset === undefined ? undefined : base + offset),
    full: () => output.full(),
    onDrain: () => {},
    onCommitted: () => {},
  };
  output.onDrain = () => sink.onDrain();
  output.onCommitted = (upTo) => sink.onCommitted(upTo - base);
  return sink;
}
