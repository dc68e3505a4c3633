/**
 * The bare limit of posix_spawn: runs a script file with bash so and so often, so and so many at once, reads what they
 * print, and stores nothing: `node bench/bare-spawn.ts COUNT PARALLEL FILE`. Prints how long that took, in seconds.
 */
import { buffer } from 'node:stream/consumers';
import { createSpawner } from '../src/os/spawn.ts';

const [count = 0, parallel = 0] = process.argv.slice(2).map(Number);
const file = process.argv[4] as string;
const spawner = await createSpawner();
const { PATH = '' } = process.env;

let left = count;
async function runMany(): Promise<void> {
  while (left-- > 0) {
    const child = await spawner.spawn('/bin/bash', [file], { cwd: '/', env: { PATH } });
    await Promise.all([buffer(child.stdout), buffer(child.stderr), child.exited]);
    child.side.close();
    child.reap();
  }
}

const startedAt = performance.now();
await Promise.all(Array.from({ length: parallel }, runMany));
console.log((performance.now() - startedAt) / 1000);
process.exit(0);
