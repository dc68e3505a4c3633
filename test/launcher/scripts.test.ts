import { randomUUID } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { FromLauncher } from '../../src/launcher/protocol.ts';
import { Scripts } from '../../src/launcher/scripts.ts';
import { createScriptSetup } from '../../src/scripts/setup.ts';
import { stop } from '../helpers/fakes.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const setup = await createScriptSetup({
  dataDir: temporaryFolder(t),
  environment: process.env,
  cgroups: true,
  isOwnChild: () => true,
});

/** @param onSent called for each message with what tells that it was sent; unless given it is sent at once. */
function launcher(onSent = (sent: () => void) => void queueMicrotask(sent)) {
  const told: FromLauncher[] = [];
  const scripts = new Scripts({
    control(message, sent = () => {}) {
      told.push(message);
      onSent(sent);
    },
    chunk: () => {},
  });
  const launch = (script: string) => {
    const uuid = randomUUID();
    scripts.launch(setup, { uuid, script, options: {}, inputs: {}, secretEnv: {} });
    return uuid;
  };
  const ended = (uuid: string) =>
    until('it has ended', () => told.find((message) => message.type === 'ended' && message.uuid === uuid));
  return { scripts, launch, ended, told };
}

t.test('a stop that comes too late harms nobody else', async (t) => {
  const { scripts, launch, ended } = launcher();
  const first = launch('true');
  await ended(first);
  const second = launch('sleep 0.5; exit 3');
  scripts.terminate(first, stop, 0);
  scripts.kill(first);
  t.match(await ended(second), { end: { kind: 'exited', exitCode: 3 } });
  t.match(scripts.states(), [{ stop: null }, { stop: null }]);
});

t.test('the time of a script that has ended stands still', async (t) => {
  const { scripts, launch, ended } = launcher();
  await ended(launch('true'));
  const before = scripts.states();
  await ended(launch('sleep 0.1'));
  t.equal(scripts.states()[0]?.elapsedMs, before[0]?.elapsedMs);
});

t.test('a script that has ended is not told as running to whoever attaches to it', async (t) => {
  const { scripts, launch, ended, told } = launcher();
  const uuid = launch('true');
  await ended(uuid);
  told.length = 0;
  scripts.attach(uuid, 0);
  t.same(
    told.map(({ type }) => type),
    ['ended'],
  );
});

t.test('progress is told to the server that is there, and the latest again to the next, before the end', async (t) => {
  const { scripts, launch, told } = launcher();
  const folder = temporaryFolder(t);
  const untilOpen = (gate: string) => `until [ -e ${folder}/${gate} ]; do sleep 0.01; done`;
  const uuid = launch(`echo 10 >&3; ${untilOpen('second')}; echo 20 said to nobody >&3; ${untilOpen('end')}; exit 3`);
  const progress = () => told.filter(({ type }) => type === 'progress');
  await until('it has told', () => progress().length > 0);
  t.same(progress(), [{ type: 'progress', uuid, percent: 10, text: '' }]);
  scripts.detachAll();
  writeFileSync(join(folder, 'second'), '');
  told.length = 0;
  const latest = { type: 'progress', uuid, percent: 20, text: 'said to nobody' };
  await until('the next server hears of it', () => {
    scripts.attach(uuid, 0);
    scripts.detachAll();
    return progress().some((message) => message.type === 'progress' && message.percent === 20);
  });
  t.same(progress().at(-1), latest);
  writeFileSync(join(folder, 'end'), '');
  told.length = 0;
  await until('it has ended', () => {
    told.length = 0;
    scripts.attach(uuid, 0);
    scripts.detachAll();
    return told.some(({ type }) => type === 'ended');
  });
  t.match(told, [latest, { type: 'ended', uuid, end: { exitCode: 3 } }]);
});

t.test('for a server that takes nothing one progress of each script is kept, and the last of all', async (t) => {
  const sent: (() => void)[] = [];
  const { launch, told } = launcher((tell) => void sent.push(tell));
  const folder = temporaryFolder(t);
  const say = 'for i in {1..20}; do echo $i >&3; sleep 0.05; done; echo said';
  const uuid = launch(`${say} >${folder}/said; until [ -e ${folder}/taken ]; do sleep 0.01; done; echo 99 >&3`);
  const percents = () => told.flatMap((message) => (message.type === 'progress' ? [message.percent] : []));
  await until('all is said', () => existsSync(join(folder, 'said')));
  t.equal(percents().length, 1, `${percents()}`);
  await until('the latest is passed on', () => {
    for (const tell of sent.splice(0)) tell();
    return percents().at(-1) === 20;
  });
  writeFileSync(join(folder, 'taken'), '');
  await until('it has ended', () => told.some(({ type }) => type === 'ended'));
  t.same(percents().slice(-2), [20, 99]);
  t.match(told.at(-1), { type: 'ended', uuid });
});

t.test('a grace as long as a timer can be is kept', async (t) => {
  const { scripts, launch, ended } = launcher();
  const uuid = launch("trap 'sleep 0.3; exit 5' TERM; while :; do sleep 0.01; done");
  await until('it runs', () => scripts.states().length === 1);
  await ended(launch('sleep 0.2'));
  scripts.terminate(uuid, stop, 2_147_483_647);
  t.match(await ended(uuid), { end: { kind: 'exited', exitCode: 5 } });
});

t.test('a script that is forgotten while its output is not read ends', async () => {
  const { scripts, launch } = launcher();
  const uuid = launch('yes');
  await until('its window is full', () => scripts.states().length === 1);
  scripts.forget(uuid);
  await until('it is gone', () => scripts.states().length === 0);
});

t.test('the next server is told why a script is to end and who wants that: what was said first', async (t) => {
  const { scripts, launch, ended } = launcher();
  const uuid = launch("trap '' TERM; while :; do sleep 0.01; done");
  scripts.terminate(uuid, stop, 60_000);
  scripts.terminate(uuid, { reason: 'stop', by: 'bob' }, 60_000);
  scripts.terminate(uuid, { reason: 'shutdown', by: null }, 60_000);
  t.match(scripts.states(), [{ uuid, stop }]);
  scripts.kill(uuid);
  await ended(uuid);
});

t.test('the next server is told how much of the grace is left, and whether SIGKILL was asked for', async (t) => {
  const { scripts, launch, ended } = launcher();
  const up = join(temporaryFolder(t), 'up');
  const script = `trap '' TERM; touch ${up}; while :; do sleep 0.01; done`;
  const uuid = launch(script);
  await until('it runs', () => existsSync(up));
  t.match(scripts.states(), [{ graceMs: undefined, isKilled: false }], 'nobody stops it');
  scripts.terminate(uuid, stop, 60_000);
  const [first] = scripts.states();
  await ended(launch('sleep 0.05'));
  const [second] = scripts.states();
  t.ok((first?.graceMs as number) <= 60_000);
  t.ok((second?.graceMs as number) <= (first?.graceMs as number) - 50, 'it runs out');
  t.equal(second?.isKilled, false);
  scripts.kill(uuid, { reason: 'stop', by: 'bob' });
  t.match(scripts.states()[0], { stop, isKilled: true }, 'who was first stays');
  t.match(await ended(uuid), { end: { kind: 'signalled', signal: 'SIGKILL' } });

  const another = launch(script);
  scripts.kill(another, stop);
  t.match(
    scripts.states().at(-1),
    { uuid: another, stop, graceMs: undefined, isKilled: true },
    'without a grace before',
  );
  await ended(another);
});
