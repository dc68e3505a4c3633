/** Lists: how long a page of each kind takes, with 1,000 commands stored and with a million. */
import type { Client } from 'pg';
import { gramsOf } from '../src/persistence/grams.ts';
import { inRounds, type Run } from './benchmark.ts';
import { connect } from './database.ts';
import { figure } from './figures.ts';
import { get } from './load.ts';
import { startServer } from './server.ts';

const FEW = 1000;
/** One client: what is asked for is how long a page takes, not how many of them the machine makes. */
const CONNECTIONS = 1;

const PAGES = {
  'page of 10': '',
  'page of 10 half-way down, by cursor': 'CURSOR',
  'status=FAILED': 'status=FAILED',
  'status=FAILED,STOPPED': 'status=FAILED,STOPPED',
  'status=FAILED&exit_code=0, of which there is none': 'status=FAILED&exit_code=0',
  'durable=true&status=STOPPED': 'durable=true&status=STOPPED',
  'reason=timeout, of which there is none': 'reason=timeout',
  'created_by of half': 'created_by=ci',
  'created_by of 1 in 10,000': 'created_by=admin',
  'created_by=…&status=STOPPED, of which there is none': 'created_by=admin&status=STOPPED',
  'created in an hour half-way down': 'TIMES',
  'q of what all have': 'q=docker+compose',
  'q of 1 in 50': 'q=web7+db',
  'q of one command': 'q=number+654',
  'q of none': 'q=kubernetes',
  'q of none, whose trigrams all have': 'q=pose+dock',
};

export async function lists(run: Run): Promise<void> {
  const many = run.quick ? 50_000 : 1_000_000;
  const server = await startServer(run);
  const db = await connect(run, server.databaseUrl);
  const few: Record<string, number[]> = {};
  for (const stored of [FEW, many]) {
    await fillUp(db, stored);
    const p99s: Record<string, number[]> = {};
    const paths = await pathsOf(server.url, db, stored);
    // Code that has not run often yet is slow, and so are pages of files that have just been written.
    for (const path of Object.values(paths)) await get(server.url, CONNECTIONS, run.quick ? 0.2 : 2, [path]);
    await inRounds(run, async () => {
      for (const [kind, path] of Object.entries(paths)) {
        const { p99Ms } = await get(server.url, CONNECTIONS, run.quick ? 0.5 : 3, [path]);
        p99s[kind] = [...(p99s[kind] ?? []), p99Ms];
      }
    });
    for (const [kind, values] of Object.entries(p99s)) {
      const bare =
        stored === FEW ? undefined : { name: `that with ${FEW.toLocaleString('en')}`, values: few[kind] ?? [] };
      figure(`lists, ${stored.toLocaleString('en')} stored: ${kind}, p99`, values, 'ms', bare);
    }
    if (stored === FEW) Object.assign(few, p99s);
  }
}

/** The path of each page. */
async function pathsOf(url: string, db: Client, stored: number): Promise<Record<string, string>> {
  const half = await fetch(`${url}/api/v1/commands?limit=1&fields=status&offset=${stored / 2}`);
  const cursor = /cursor=([\w-]+)/.exec(half.headers.get('link') ?? '')?.[0] ?? '';
  const { rows } = await db.query(
    "SELECT created_at AS after, created_at + interval '1 hour' AS before FROM commands ORDER BY id OFFSET $1 LIMIT 1",
    [Math.floor(stored / 2)],
  );
  const times = `created_after=${rows[0].after.toISOString()}&created_before=${rows[0].before.toISOString()}`;
  return Object.fromEntries(
    Object.entries(PAGES).map(([kind, query]) => {
      const filled = query.replace('CURSOR', cursor).replace('TIMES', times);
      return [kind, `/api/v1/commands?limit=10&${filled}`];
    }),
  );
}

/**
 * Stores ended commands, one every ten seconds, each with an output, until there are `total`. Of their trigrams only
 * those that they don't have in common are computed here: all of them would take many minutes more.
 */
async function fillUp(db: Client, total: number): Promise<void> {
  // To add a million to it takes longer than to make it anew.
  const { rows } = await db.query("SELECT indexdef FROM pg_indexes WHERE indexname = 'command_search_grams'");
  await db.query('DROP INDEX command_search_grams');
  await db.query(
    `WITH made AS (
       SELECT n, CASE WHEN n % 100 = 0 THEN 'STOPPED' WHEN n % 20 = 0 THEN 'FAILED' ELSE 'EXECUTED' END AS status
       FROM generate_series((SELECT count(*) FROM commands) + 1, $1::bigint) n
     ), stored AS (
       INSERT INTO commands (command_uuid, description, script, durable, status, reason, exit_code, created_at,
         started_at, ended_at, duration_ms, output_bytes, created_by, owner)
       SELECT gen_random_uuid(), 'number ' || n, replace($2, 'HOST', 'web' || n % 50 || ' db'), n % 10 = 0, status,
         CASE WHEN status = 'STOPPED' THEN 'stop' ELSE 'exit' END,
         CASE status WHEN 'EXECUTED' THEN 0 WHEN 'FAILED' THEN 1 + n % 255 END,
         timestamptz '2026-01-01' + n * interval '10 s', now(), now(), 1.5, 3,
         CASE WHEN n % 10000 = 1 THEN 'admin' WHEN n % 2 = 0 THEN 'ci' END, 1
       FROM made ORDER BY n
       RETURNING id, description, script
     ), printed AS (
       INSERT INTO command_output (command_id, byte_offset, stream, data)
       SELECT id, 0, 1, convert_to(E'hi\\n', 'UTF8') FROM stored
     )
     INSERT INTO command_search (command_id, grams)
     SELECT id, $3::smallint[] || command_grams(description) || command_grams(substring(script FROM 'in (.*?);'))
     FROM stored ORDER BY id`,
    [total, SCRIPT, gramsOf(SCRIPT)],
  );
  await db.query(rows[0].indexdef);
  // What PostgreSQL would do by itself within minutes, in the middle of what is measured.
  for (const table of ['commands', 'command_output', 'command_search']) await db.query(`VACUUM ANALYZE ${table}`);
  await db.query('CHECKPOINT');
}

const SCRIPT = `set -euo pipefail
cd /srv/app && docker compose pull && docker compose up -d --remove-orphans
for host in HOST; do ssh "$host" systemctl restart shellvisor.service || echo "failed: $host" >&2; done`;
