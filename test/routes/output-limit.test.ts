import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { outputLimitOf } from '../../src/command.ts';
import { startApp } from '../helpers/app.ts';
import { checkKept, storedRows } from '../helpers/output.ts';
import { processesWith, uniqueSeconds } from '../helpers/processes.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const MiB = 1024 * 1024;
const PATHS = ['/api/v1/commands', '/api/v1/durables/commands'];

t.test('of a long output head and tail are kept to the byte, and its true length is told', async (t) => {
  const { submit, reaches, database } = await startApp(t, { outputLimitBytes: 2 * MiB });
  const limit = outputLimitOf(2 * MiB);
  const folder = temporaryFolder(t);
  for (const [i, path] of PATHS.entries()) {
    const side = join(folder, `side${i}`);
    const uuid = await submit(`head -c 20000000 /dev/urandom | tee ${side}; exit 7`, path);
    const command = await reaches(uuid, 'FAILED');
    t.match(command, { exit_code: 7, reason: 'exit', output_bytes: 20_000_000, output_truncated: true });
    t.match(command, { output_preview: false, output: /\n\[… 17902848 bytes dropped …\]\n/ });
    checkKept(t, await storedRows(database.rows, uuid), { stdout: readFileSync(side) }, limit);
  }
});

t.test('so it is with both streams, and with NUL bytes', async (t) => {
  const { submit, reaches, database } = await startApp(t, { outputLimitBytes: 100_000 });
  const side = join(temporaryFolder(t), 'side');
  for (const path of PATHS) {
    const uuid = await submit(
      `head -c 3000000 /dev/urandom | tee ${side}.out &
       { head -c 500000 /dev/zero; head -c 2500000 /dev/urandom; } | tee ${side}.err >&2
       wait`,
      path,
    );
    t.match(await reaches(uuid, 'EXECUTED'), { output_bytes: 6_000_000, output_truncated: true });
    const printed = { stdout: readFileSync(`${side}.out`), stderr: readFileSync(`${side}.err`) };
    checkKept(t, await storedRows(database.rows, uuid), printed, outputLimitOf(100_000));
  }
});

t.test('an output of exactly the limit is whole, one more byte is too much', async (t) => {
  const { submit, reaches } = await startApp(t, { outputLimitBytes: 2000 });
  const whole = await reaches(await submit("head -c 2000 /dev/zero | tr '\\0' x"), 'EXECUTED');
  t.match(whole, { output: 'x'.repeat(2000), output_bytes: 2000, output_truncated: false });
  const cut = await reaches(await submit("head -c 2001 /dev/zero | tr '\\0' x"), 'EXECUTED');
  const output = `${'x'.repeat(1000)}\n[… 1 bytes dropped …]\n${'x'.repeat(1000)}`;
  t.match(cut, { output, output_bytes: 2001, output_truncated: true, output_preview: false });
});

t.test('a durable command shows head and current tail while it runs', async (t) => {
  const { request, submit } = await startApp(t, { outputLimitBytes: 2000 });
  const uuid = await submit('seq -w 10000; sleep 1000', '/api/v1/durables/commands');
  const command = await until('the last line shows', async () => {
    const { body } = await request('GET', `/api/v1/commands/${uuid}`);
    return body.output.endsWith('10000\n') && body;
  });
  t.match(command, { status: 'EXECUTING', output_bytes: 60_000, output_truncated: true, output_preview: false });
  t.match(command.output, /^00001\n00002\n.*\n\[… \d+ bytes dropped …\]\n.*09999\n10000\n$/s);
});

t.test('a list previews the head, and the tail as far as there is room', async (t) => {
  const { request, submit, reaches } = await startApp(t, { outputLimitBytes: 100_000 });
  await reaches(await submit('head -c 500000 /dev/zero | tr "\\0" x'), 'EXECUTED');
  const list = async (limit: number) => (await request('GET', `/api/v1/commands?limit=${limit}`)).body[0];
  const preview = await list(1);
  t.equal(preview.output, `${'x'.repeat(50_000)}\n[… 400000 bytes dropped …]\n${'x'.repeat(65_536 - 50_000)}`);
  t.match(preview, { output_bytes: 500_000, output_preview: true, output_truncated: true });
  const short = await list(1000);
  t.match(short, { output: 'x'.repeat(8388), output_preview: true, output_truncated: true });
});

t.test('a character that the gap cuts is replaced, on both sides of it', async (t) => {
  const { submit, reaches } = await startApp(t, { outputLimitBytes: 1001 });
  const { output } = await reaches(await submit("printf 'ü%.0s' {1..1000}"), 'EXECUTED');
  t.equal(output, `${'ü'.repeat(250)}\ufffd\n[… 999 bytes dropped …]\n${'ü'.repeat(250)}`);
});

t.test('a command that asks for it is ended when it prints more than is kept, with its whole tree', async (t) => {
  const { request, reaches } = await startApp(t, { outputLimitBytes: 10_000, stopGraceMs: 200 });
  for (const path of PATHS) {
    const seconds = uniqueSeconds();
    const script = `(setsid sleep ${seconds} &); trap '' TERM; seq -w 100000; sleep ${seconds}; sleep ${seconds}`;
    const { body } = await request('POST', path, { script, on_output_limit: 'kill' });
    const command = await reaches(body.uuid, 'FAILED');
    t.match(command, { reason: 'output_limit', output_truncated: true, signal: 'SIGKILL', exit_code: null });
    t.ok(command.output.startsWith('000001\n'));
    t.same(processesWith(seconds), []);
  }
  const { body } = await request('POST', '/api/v1/commands', { script: 'seq -w 100000', on_output_limit: 'kill' });
  t.match(await reaches(body.uuid, 'FAILED'), { reason: 'output_limit' }, 'even if it ends by itself meanwhile');
  const { body: quiet } = await request('POST', '/api/v1/commands', { script: 'seq 100', on_output_limit: 'kill' });
  t.match(await reaches(quiet.uuid, 'EXECUTED'), { reason: 'exit', output_truncated: false });
});
