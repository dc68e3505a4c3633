/**
 * Of the transitions of a command's machine those that are known without it, and what is stored of the others. All are
 * told in the words of its statechart, which the tests compare; only `lost` is not drawn there.
 */
import type { Step, TerminalStatus, Transition } from './command.ts';

/** How a machine begins: for a command that is to run, and for one whose script outlived the server before this one. */
export type AdmissionEvent = 'admit' | 'readmit';
const ADMISSIONS: readonly string[] = ['admit', 'readmit'] satisfies AdmissionEvent[];

export const admission = (event: AdmissionEvent, at: number): Transition => ({ from: null, event, to: 'queued', at });

/** A slot was free. */
export const START = { event: 'start', to: 'executing.starting' } as const;
/** The server that ran it is gone, and no machine was left to take a step. */
export const LOST = { event: 'lost', to: 'failed' } as const;
/** The same for a command that is to be run again then. */
export const LOST_AND_RERUN = { event: 'lost', to: 'queued' } as const;

/** It was stopped before any server had it. */
export const STOPPED_WAITING = { event: 'stop', to: 'storing' } as const;

/** The event of the step behind the outcome. */
export const STORED = 'store is done';
const FINAL_STATES: Record<TerminalStatus, string> = { EXECUTED: 'executed', FAILED: 'failed', STOPPED: 'stopped' };

/** The last step, taken when the outcome is stored: it is known before, and so it can be stored and seen with it. */
export const lastStep = (status: TerminalStatus, at: number): Step => ({ event: STORED, to: FINAL_STATES[status], at });

/**
 * The path of a command: from its admission, which its row tells, along the stored steps. Where each came from is where
 * the one before it went.
 */
export function pathOf(createdAt: number, steps: readonly Step[]): Transition[] {
  const first = admission('admit', createdAt);
  return [first, ...steps.map((step, i) => ({ from: cameFrom(step, steps[i - 1] ?? first), ...step }))];
}

const cameFrom = ({ event }: Step, before: Step) => (ADMISSIONS.includes(event) ? null : before.to);
