import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import t from 'tap';
import { ended, setup } from '../helpers/launcher.ts';
import { readStored } from '../helpers/oracle.ts';

const { server, submit, folder, env } = await setup(t);
const db = new Client(env.DATABASE_URL);
await db.connect();
t.teardown(() => db.end());

const random = randomBytes(1024 * 1024 + 3);
const file = join(folder, 'random');
writeFileSync(file, random);
const line = 'x'.repeat(1_000_000);
const sha = (text: string | Buffer) => createHash('sha256').update(text).digest('hex');
const latin1 = (text: string) => Buffer.from(text).toString('latin1');

/** Scripts, what they print as bytes, and what the JSON shows of it where that is not simply the same. */
const CASES: Record<string, { script: string; stdout: string; stderr: string; shown?: string }> = {
  'random bytes, NUL and invalid UTF-8 among them, on both streams': {
    script: `cat ${file}; cat ${file} >&2`,
    stdout: random.toString('latin1'),
    stderr: random.toString('latin1'),
  },
  'a line of a million bytes that does not end': {
    script: "head -c 1000000 /dev/zero | tr '\\0' x",
    stdout: line,
    stderr: '',
    shown: line,
  },
  'characters of several bytes that come one byte at a time': {
    script: "for byte in '\\360' '\\237' '\\220' '\\232' '\\303' '\\274'; do printf \"$byte\"; sleep 0.02; done",
    stdout: latin1('🐚ü'),
    stderr: '',
    shown: '🐚ü',
  },
  'bytes that are not UTF-8 between such that are': {
    script: "printf 'a\\377b\\303'",
    stdout: 'a\xffb\xc3',
    stderr: '',
    shown: 'a\ufffdb\ufffd',
  },
  'streams that are opened again, and closed': {
    script: 'echo a; echo b >/dev/stdout; exec >&-; echo c >&2; exec 2>&-; echo never; true',
    stdout: 'a\nb\n',
    stderr: 'c\n',
    shown: 'a\nb\nc\n',
  },
};

for (const [kind, { script, stdout, stderr, shown }] of Object.entries(CASES)) {
  for (const path of ['/api/v1/commands', '/api/v1/durables/commands']) {
    t.test(`stored to the byte by ${path}: ${kind}`, async (t) => {
      const uuid = await submit(path, script);
      const { status, output, output_bytes } = await ended(server, uuid);
      t.equal(status, 'EXECUTED');
      const stored = await readStored(db, uuid);
      t.ok(stored.seamless);
      t.equal(sha(stored.stdout), sha(stdout), 'stdout');
      t.equal(sha(stored.stderr), sha(stderr), 'stderr');
      t.equal(output_bytes, stdout.length + stderr.length);
      if (shown !== undefined) t.equal(sha(output), sha(shown), 'what the JSON shows');
    });
  }
}
