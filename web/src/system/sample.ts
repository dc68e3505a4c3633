/** What the charts show of one moment, made of what the server tells of it and of the moment before. */
import type { Figures } from './exposition.ts';

export const FIGURES = ['executing', 'queued', 'throughput', 'wait', 'commit', 'lag', 'memory'] as const;
export type FigureName = (typeof FIGURES)[number];

/** NaN: it is not known. Times are in ms, memory in bytes, the throughput in commands a second. */
export type Sample = Readonly<Record<FigureName, number>>;

export interface Look {
  /** When, in ms. */
  at: number;
  figures: Figures;
}

export const NOTHING: Sample = {
  executing: Number.NaN,
  queued: Number.NaN,
  throughput: Number.NaN,
  wait: Number.NaN,
  commit: Number.NaN,
  lag: Number.NaN,
  memory: Number.NaN,
};

/** @param before undefined: it is the first look, so that nothing is known of what grows. */
export function sampleOf({ at, figures }: Look, before: Look | undefined): Sample {
  const figureOf = (name: string) => figures.get(name) ?? Number.NaN;
  /** By how much something has grown; NaN after a restart, which begins at 0. What no one has counted yet is not told. */
  const growthOf = (name: string) => {
    if (before === undefined) return Number.NaN;
    const growth = (figures.get(name) ?? 0) - (before.figures.get(name) ?? 0);
    return growth < 0 ? Number.NaN : growth;
  };
  const meanMsOf = (name: string) => (growthOf(`${name}_sum`) / growthOf(`${name}_count`)) * 1000;
  return {
    executing: figureOf('shellvisor_commands_executing'),
    queued: figureOf('shellvisor_commands_queued'),
    throughput: growthOf('shellvisor_commands_ended_total') / ((at - (before?.at ?? at)) / 1000),
    wait: meanMsOf('shellvisor_queue_wait_seconds'),
    commit: meanMsOf('shellvisor_journal_batch_seconds'),
    lag: figureOf('shellvisor_journal_lag_seconds') * 1000,
    memory: figureOf('process_resident_memory_bytes'),
  };
}
