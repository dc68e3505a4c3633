import { getPriority } from 'node:os';
import t from 'tap';
import { startApp } from '../helpers/app.ts';

t.test('a command runs as nicely as its client wants, with all that it starts', async (t) => {
  const { request, reaches } = await startApp(t);
  const own = getPriority();
  for (const [nice, path] of [
    [7, '/api/v1/commands'],
    [0, '/api/v1/durables/commands'],
  ] as const) {
    const { body } = await request('POST', path, { script: 'nice; (setsid nice); echo $0 $#', nice });
    const { output, options } = await reaches(body.uuid, 'EXECUTED');
    const expected = Math.min(own + nice, 19);
    t.match(output, new RegExp(`^${expected}\\n${expected}\\n\\S+/${body.uuid}\\.sh 0\\n$`));
    t.same(options, { nice });
  }
});

t.test('a command gets no more memory than its client allows, and its fellows none the less', async (t) => {
  const { request, submit, reaches } = await startApp(t);
  // bash holds all of it in one variable.
  const script =
    'x=$(head -c 200000000 /dev/zero | tr "\\0" x); echo "has ${#x}"; env | grep SHELLVISOR_ | grep -v UUID';
  const { body } = await request('POST', '/api/v1/commands', { script, max_memory_bytes: 100_000_000 });
  const command = await reaches(body.uuid, 'FAILED');
  t.notMatch(command.output, /has 200000000/);
  t.ok(command.signal === 'SIGKILL' || /cannot allocate|xrealloc/.test(command.output), command.output);
  const free = await submit(script.replace(/; env.*/, ''));
  t.match(await reaches(free, 'EXECUTED'), { output: 'has 200000000\n' });
  const { body: small } = await request('POST', '/api/v1/commands', {
    script: 'echo a | cat; env | grep SHELLVISOR_ | grep -v UUID; true',
    max_memory_bytes: 100_000_000,
  });
  t.match(await reaches(small.uuid, 'EXECUTED'), { output: 'a\n' }, 'how it is limited leaves no trace');
});

t.test(
  'a command starts no more processes than its client allows, or is refused where that is not possible',
  async (t) => {
    const { request, reaches, runner, database } = await startApp(t);
    const script = 'for i in {1..5000}; do sleep 1000 & done 2>&1; echo started $(jobs -p | wc -l)';
    const { status, body } = await request('POST', '/api/v1/commands', {
      script,
      max_processes: 400,
      timeout_ms: 10_000,
    });
    const why = runner.unsupported.maxProcesses;
    if (why === undefined) {
      t.equal(status, 201);
      t.match((await reaches(body.uuid, 'FAILED')).output, /fork.*Resource temporarily unavailable/);
    } else {
      t.same({ status, body }, { status: 400, body: { error: why, code: 'OPTION_UNSUPPORTED' } });
      t.same(await database.rows('SELECT * FROM commands'), [], 'nothing was stored');
    }
  },
);

t.test('each process of a command has no more files open than its client allows', async (t) => {
  const { request, reaches } = await startApp(t);
  const script =
    'ulimit -Sn; ulimit -Hn; ulimit -n 200 || echo fixed; exec {a}</dev/null; (setsid bash -c "ulimit -n")';
  for (const max_open_files of [16, 100]) {
    const { body } = await request('POST', '/api/v1/commands', { script, max_open_files });
    const { output, options } = await reaches(body.uuid, 'EXECUTED');
    const lines = output.split('\n').filter((line: string) => !line.includes('Operation not permitted'));
    // Root may raise its limits again.
    const after = lines.includes('fixed') ? max_open_files : 200;
    t.equal(lines.filter((line: string) => line !== 'fixed').join(), `${max_open_files},${max_open_files},${after},`);
    t.same(options, { max_open_files });
  }
  const opening = 'for i in {1..50}; do exec {fd}</dev/null || exit 5; done';
  const { body } = await request('POST', '/api/v1/commands', { script: opening, max_open_files: 32 });
  t.match(await reaches(body.uuid, 'FAILED'), { output: /Too many open files/ });
  const { body: most } = await request('POST', '/api/v1/commands', { script: 'true', max_open_files: 2_147_483_584 });
  t.match(await reaches(most.uuid, 'FAILED'), {
    reason: 'spawn_error',
    error: /^starting bash: max_open_files can be \d+ at most: the server itself may have no more open$/,
  });
});

t.test('a command runs in a sandbox where its client wants that, or is refused where there is none', async (t) => {
  const { request, reaches, runner, database } = await startApp(t);
  const why = runner.unsupported.sandbox;
  for (const [sandbox, shown] of [
    [true, { sandbox: true }],
    [{}, { sandbox: true }],
    [{ network: true }, { sandbox: { network: true } }],
    [false, {}],
  ] as const) {
    const { status, body } = await request('POST', '/api/v1/commands', {
      script: 'touch /usr/here; rm -f /usr/here; echo $$',
      sandbox,
    });
    if (why !== undefined && sandbox !== false) {
      t.same({ status, body }, { status: 400, body: { error: why, code: 'OPTION_UNSUPPORTED' } });
      continue;
    }
    t.equal(status, 201);
    const { options, output } = await reaches(body.uuid, 'EXECUTED');
    t.same(options, shown);
    t.equal(/Read-only/.test(output), sandbox !== false && process.getuid?.() === 0);
    t.equal(Number(output.trim().split('\n').at(-1)) < 10, sandbox !== false, 'its processes are numbered anew');
  }
  const stored = await database.rows('SELECT * FROM commands');
  t.equal(stored.length, why === undefined ? 4 : 1);
});
