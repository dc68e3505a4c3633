/**
 * The benchmarks: `npm run bench`, or `npm run bench -- NAME... [--quick] [--profile=FOLDER]` for some of them.
 * Each starts a server of its own and prints one figure a line; docs/performance.md says what they mean.
 */
import { parseArgs } from 'node:util';
import type { Benchmark } from './benchmark.ts';
import { cluster } from './cluster.ts';
import { dashboard } from './dashboard.ts';
import { deletions } from './deletions.ts';
import { durableOutput } from './durable-output.ts';
import { followers } from './followers.ts';
import { lists } from './lists.ts';
import { describeMachine } from './machine.ts';
import { memory } from './memory.ts';
import { postgres } from './postgres.ts';
import { queue } from './queue.ts';
import { reads } from './reads.ts';
import { shortCommands } from './short-commands.ts';

const benchmarks: Record<string, Benchmark> = {
  'short-commands': shortCommands,
  'durable-output': durableOutput,
  followers,
  queue,
  reads,
  lists,
  deletions,
  memory,
  dashboard,
  cluster,
  postgres,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, profile: { type: 'string' } },
});
const names = positionals.length > 0 ? positionals : Object.keys(benchmarks);
const unknown = names.find((name) => !(name in benchmarks));
if (unknown !== undefined) {
  console.error(`there is no benchmark ${unknown}; there are ${Object.keys(benchmarks).join(', ')}`);
  process.exit(1);
}

let cleanup = new AsyncDisposableStack();
let interrupted = false;
async function breakOff(): Promise<void> {
  if (interrupted) return;
  interrupted = true;
  console.error('cleaning up');
  await cleanup.disposeAsync();
  process.exit(1);
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, breakOff);
// Whoever read the figures has gone, as `head` does.
process.stdout.on('error', breakOff);

console.log(`${await describeMachine()}\n`);
for (const name of names) {
  if (interrupted) break;
  cleanup = new AsyncDisposableStack();
  try {
    await benchmarks[name]?.({ quick: values.quick, profileDir: values.profile, cleanup });
  } catch (error) {
    // What fails once everything is being cut off says nothing.
    if (!interrupted) throw error;
  } finally {
    await cleanup.disposeAsync();
  }
}
