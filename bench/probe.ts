/**
 * Loaded into the server that is measured (`--import`), not into its launcher: measures the delay of the event loop, and
 * keeps a heap of `BENCH_HEAP_MIB` alive, as a server with much to do would. SIGUSR1 has it write what it saw since the last
 * one to `BENCH_PROBE_FILE`.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** How exactly the delay is measured, in ms; every sample holds this long besides the delay itself. */
const RESOLUTION_MS = 1;
const OBJECT_BYTES = 1024;

export interface Probed {
  /** 99 of 100 turns of the event loop were late by less than this, in ms. */
  delayP99Ms: number;
  heapMiB: number;
}

/** The heap that is kept alive: many objects, which the garbage collector has to visit. */
export let ballast: number[][] = [];

const file = process.env.BENCH_PROBE_FILE;
if (file !== undefined && process.argv[1]?.endsWith('/server.ts')) {
  const objects = (Number(process.env.BENCH_HEAP_MIB ?? 0) * 1024 * 1024) / OBJECT_BYTES;
  ballast = Array.from({ length: objects }, (_, i) => new Array<number>(OBJECT_BYTES / 8).fill(i + 0.5));
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  process.on('SIGUSR1', () => {
    const probed: Probed = {
      delayP99Ms: delay.percentile(99) / 1e6 - RESOLUTION_MS,
      heapMiB: process.memoryUsage().heapUsed / 1024 / 1024,
    };
    delay.reset();
    // Whoever waits for the file shall find it whole.
    writeFileSync(`${file}.new`, JSON.stringify(probed));
    renameSync(`${file}.new`, file);
  });
}
