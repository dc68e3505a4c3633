import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { callCli, PROGRAM } from '../helpers/cli.ts';
import { createDatabase } from '../helpers/cluster.ts';
import { startServer, temporaryFolder } from '../helpers/server.ts';
import { openTerminal } from '../helpers/terminal.ts';
import { until } from '../helpers/until.ts';

const server = await startServer(t, { DATABASE_URL: await createDatabase(t) });
const folder = temporaryFolder(t);
const untilOpen = (gate: string) => `until [ -e '${join(folder, gate)}' ]; do sleep 0.01; done`;
const open = (gate: string) => writeFileSync(join(folder, gate), '');

/** Calls the command line in a terminal. @param stdout where its stdout goes; else into the terminal. */
function callInTerminal(t: Test, args: string[], stdout?: 'pipe') {
  const terminal = openTerminal(t);
  const { PATH = '', HOME = '', NODE_COMPILE_CACHE = '' } = process.env;
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    env: { PATH, HOME, NODE_COMPILE_CACHE, SHELLVISOR_URL: server.url },
    stdio: ['ignore', stdout ?? terminal.fd, terminal.fd],
  });
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (bytes) => chunks.push(bytes));
  t.teardown(() => child.kill('SIGKILL'));
  return { child, terminal, ended: once(child, 'close'), stdout: () => Buffer.concat(chunks).toString() };
}

t.test('in a terminal a bar shows the progress below the output, which it leaves as it is', async (t) => {
  const script = `echo one; echo "25 first" >&3; ${untilOpen('two')}; echo two >&2; ${untilOpen('open line')};
    printf 'a line '; echo "50 second" >&3; ${untilOpen('three')}; echo "without an end, until now"; ${untilOpen('end')}`;
  const { terminal, ended } = callInTerminal(t, ['run', script]);
  const shows = (...lines: string[]) =>
    until(`it shows ${lines.join(', ')}`, () => terminal.screen().join('\n') === lines.join('\n'));
  const first = `${'█'.repeat(6)}${'░'.repeat(18)}  25 % first`;
  const second = `${'█'.repeat(12)}${'░'.repeat(12)}  50 % second`;
  await shows('one', first);
  open('two');
  await shows('one', 'two', first);
  open('open line');
  await shows('one', 'two', 'a line');
  open('three');
  await shows('one', 'two', 'a line without an end, until now', second);
  open('end');
  const [code] = await ended;
  t.equal(code, 0);
  await terminal.settled();
  t.same(terminal.screen(), ['one', 'two', 'a line without an end, until now', '']);
});

t.test('Ctrl-C takes the bar away before it says what it does', async (t) => {
  const { child, terminal, ended } = callInTerminal(t, ['run', 'echo "25 first" >&3; exec sleep 1000']);
  await until('the bar shows', () => terminal.text().includes('25 %'));
  child.kill('SIGINT');
  const [code] = await ended;
  t.equal(code, 130);
  await terminal.settled();
  t.match(terminal.screen(), ['', /^shellvisor: stopping /, /^shellvisor: the command was stopped/, '']);
});

t.test('a stdout that goes elsewhere gets the output alone', async (t) => {
  const { terminal, ended, stdout } = callInTerminal(
    t,
    ['run', `printf out; echo 75 >&3; ${untilOpen('elsewhere')}`],
    'pipe',
  );
  await until('the bar shows', () => / 75 %/.test(terminal.screen().join('\n')));
  open('elsewhere');
  await ended;
  await terminal.settled();
  t.equal(stdout(), 'out');
  t.same(terminal.screen(), ['']);
});

t.test('where stderr is no terminal there is no bar; --json tells progress as an event', async (t) => {
  const environment = { SHELLVISOR_URL: server.url };
  const plain = callCli(t, ['run', 'echo 50 >&3; sleep 0.5; echo out; echo err >&2'], environment);
  t.match(await plain.ended, { code: 0, stdout: 'out\n', stderr: 'err\n' });
  const { terminal, ended, stdout } = callInTerminal(t, ['run', '--json', 'echo "50 half" >&3; sleep 0.5'], 'pipe');
  await ended;
  const events = stdout()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.same(
    events.filter(({ type }) => type === 'progress'),
    [{ type: 'progress', percent: 50, text: 'half' }],
  );
  await terminal.settled();
  t.equal(terminal.text(), '');
  const [{ uuid }] = events;
  const shown = await callCli(t, ['show', uuid], environment).ended;
  t.match(shown.stdout, /^progress +50 % half$/m);
});

t.test('control characters in the text do nothing to the terminal', async (t) => {
  const { terminal, ended } = callInTerminal(t, ['run', `printf '5 a\\033[2Jb\\rc\\n' >&3; ${untilOpen('control')}`]);
  await until('the bar shows', () => terminal.screen().at(-1)?.includes(' 5 % a [2Jb c'));
  open('control');
  await ended;
  await terminal.settled();
  t.notOk(terminal.text().includes('\u001b[2J'));
});
