/** A durable command that prints a million lines: whether all are stored, and how fast. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import type { Client } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { inRounds, type Run } from './benchmark.ts';
import { connect, untilAllEnded } from './database.ts';
import { figure } from './figures.ts';
import { send } from './load.ts';
import { processorMs, residentMiB } from './process.ts';
import { type Server, startServer } from './server.ts';

const MB = 1e6;
/** What psql's `\copy` sends at once, about. */
const COPY_CHUNK_BYTES = 64 * 1024;

export async function durableOutput(run: Run): Promise<void> {
  const lines = run.quick ? 100_000 : 1_000_000;
  const script = `seq -f 'line %08.0f of a log that is about as wide as logs are' ${lines}`;
  const text = await outputOf(script);
  // All of it is to be stored.
  const server = await startServer(run, { SHELLVISOR_OUTPUT_LIMIT_BYTES: `${2 ** 30}` });
  const db = await connect(run, server.databaseUrl);
  await db.query('CREATE TABLE bench_lines (line text)');

  const printed: number[] = [];
  const copied: number[] = [];
  const durable: number[] = [];
  const regular: number[] = [];
  const busyMs: number[] = [];
  const megabytes = text.length / MB;
  await inRounds(run, async () => {
    printed.push(megabytes / (await seconds(() => outputOf(script))));
    copied.push(megabytes / (await copySeconds(db, text)));
    const before = processorMs(server.pids);
    durable.push(megabytes / (await storeSeconds(server, db, '/api/v1/durables/commands', script, text)));
    busyMs.push((processorMs(server.pids) - before) / megabytes);
    regular.push(megabytes / (await storeSeconds(server, db, '/api/v1/commands', script, text)));
  });

  const copy = { name: '\\copy', values: copied };
  const what = `${lines.toLocaleString('en')} lines, ${Math.round(megabytes)} MB, all stored`;
  figure(`durable output: ${what}`, durable, 'MB/s', copy);
  figure('durable output: the same by a regular command', regular, 'MB/s', copy);
  figure('durable output: the script alone, into a pipe', printed, 'MB/s');
  figure('durable output: processor time of the server', busyMs, 'ms/MB');
  figure('durable output: resident memory of the server, at most', [residentMiB(server.pids, 'peak')], 'MiB');
}

async function outputOf(script: string): Promise<Buffer> {
  const { stdout } = await promisify(execFile)('bash', ['-c', script], { encoding: 'buffer', maxBuffer: 2 ** 30 });
  return stdout;
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (performance.now() - startedAt) / 1000;
}

/** The bare limit: the same text as `\copy` brings it into a table, a row a line. */
async function copySeconds(db: Client, text: Buffer): Promise<number> {
  await db.query('TRUNCATE bench_lines');
  return seconds(() => pipeline(Readable.from(chunksOf(text)), db.query(copyFrom('COPY bench_lines FROM STDIN'))));
}

function* chunksOf(text: Buffer): Generator<Buffer> {
  for (let start = 0; start < text.length; start += COPY_CHUNK_BYTES) {
    yield text.subarray(start, start + COPY_CHUNK_BYTES);
  }
}

/** From the POST until the end of the command is stored. @throws when a byte of its output is missing or another. */
async function storeSeconds(server: Server, db: Client, path: string, script: string, text: Buffer): Promise<number> {
  await db.query('TRUNCATE commands, command_transitions CASCADE');
  const taken = await seconds(async () => {
    const requests = [{ method: 'POST', path, body: JSON.stringify({ script }) } as const];
    await send(server.url, 1, () => requests.pop());
    await untilAllEnded(db);
  });
  const { rows } = await db.query(
    `SELECT status, output_bytes::int, encode(sha256(string_agg(data, ''::bytea ORDER BY byte_offset)), 'hex') AS sha256
     FROM commands JOIN command_output ON command_id = id GROUP BY id`,
  );
  const { status, output_bytes: bytes, sha256 } = rows[0];
  const expected = createHash('sha256').update(text).digest('hex');
  if (status !== 'EXECUTED' || bytes !== text.length || sha256 !== expected) {
    throw new Error(`the output is not stored as it was printed: ${status}, ${bytes} of ${text.length} bytes`);
  }
  return taken;
}
