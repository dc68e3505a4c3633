/**
 * Failpoints: places at which a test has the program killed by SIGKILL, to see that a crash right there loses nothing.
 * `SHELLVISOR_FAILPOINT` names one, and optionally at which of its passes: `after-launch:3`. It kills once per data
 * folder, in which it leaves a file, so that the server that is started again lives.
 *
 * They are wrapped around the ports and the launcher's link by the composition roots; without the variable nothing is
 * wrapped, so they cost nothing.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aroundJournal, aroundOutput } from './around.ts';
import { StartupError } from './errors.ts';
import type { Journal } from './ports/journal.ts';
import type { ProcessRunner } from './ports/process.ts';

/** In the order of a command's life. */
export const FAILPOINTS = [
  /** Server: the new command is committed, its client has no answer. */
  'after-insert',
  /** Server: `EXECUTING` is committed, the launcher knows nothing of it. */
  'after-begin',
  /** Server: the launcher was told to launch. */
  'after-launch',
  /** Launcher: bash runs, the server has not heard of it. */
  'after-spawn',
  /** Server: the launcher has said that bash runs. */
  'after-started',
  /** Server: output is committed, and not acknowledged to the launcher. */
  'before-ack',
  /** Server: the outcome is committed, and the launcher still keeps the script. */
  'after-finish',
] as const;
export type Failpoint = (typeof FAILPOINTS)[number];

/** Called at each pass of a failpoint. */
export type Passes = (name: Failpoint) => void;

/**
 * Reads which failpoint is armed. @returns what to call at each, or undefined when none is armed.
 * @throws StartupError when there is no such failpoint.
 */
export function armFailpoint(env: Record<string, string | undefined>, dataDir: string): Passes | undefined {
  const value = env.SHELLVISOR_FAILPOINT;
  if (value === undefined || value === '') return undefined;
  const [name, pass] = /^([a-z-]+)(?::([1-9]\d{0,5}))?$/.exec(value)?.slice(1) ?? [];
  if (!FAILPOINTS.some((known) => known === name)) {
    throw new StartupError(
      `SHELLVISOR_FAILPOINT must be one of ${FAILPOINTS.join(', ')}, with a number of passes such as :3 or without, not "${value}"`,
    );
  }
  let left = Number(pass ?? 1);
  return (passed) => {
    if (passed !== name || --left > 0) return;
    try {
      writeFileSync(join(dataDir, `failpoint-${name}`), '', { flag: 'wx' });
    } catch {
      return; // It has killed already.
    }
    process.kill(process.pid, 'SIGKILL');
  };
}

/** Wraps the journal's failpoints around it. */
export function journalWithFailpoints(journal: Journal, passes: Passes): Journal {
  return aroundJournal(journal, {
    async insert(...args) {
      const isStored = await journal.insert(...args);
      if (isStored) passes('after-insert');
      return isStored;
    },
    async begin(uuid, startedAt) {
      const begun = await journal.begin(uuid, startedAt);
      passes('after-begin');
      return begun;
    },
    openOutput: (...args) => aroundOutput(journal.openOutput(...args), { onCommitted: () => passes('before-ack') }),
    async finish(...args) {
      await journal.finish(...args);
      passes('after-finish');
    },
  });
}

/** Wraps the runner's failpoints around it. */
export function runnerWithFailpoints(runner: ProcessRunner, passes: Passes): ProcessRunner {
  return {
    ...runner,
    start(spec, output) {
      const process = runner.start(spec, output);
      // What is sent in this turn of the event loop goes out at its end.
      setImmediate(() => passes('after-launch'));
      void process.started.then(() => passes('after-started'));
      return process;
    },
  };
}
