import { randomUUID } from 'node:crypto';
import t from 'tap';
import type { FromLauncher } from '../../src/launcher/protocol.ts';
import { Scripts } from '../../src/launcher/scripts.ts';
import { createScriptSetup } from '../../src/scripts/setup.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const setup = await createScriptSetup({
  dataDir: temporaryFolder(t),
  environment: process.env,
  cgroups: true,
  isOwnChild: () => true,
});

function launcher() {
  const told: FromLauncher[] = [];
  const scripts = new Scripts({ control: (message) => told.push(message), chunk: () => {} });
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
  scripts.terminate(first, 'stop', 0);
  scripts.kill(first);
  t.match(await ended(second), { end: { kind: 'exited', exitCode: 3 } });
  t.match(scripts.states(), [{ stoppedBy: null }, { stoppedBy: null }]);
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

t.test('a grace as long as a timer can be is kept', async (t) => {
  const { scripts, launch, ended } = launcher();
  const uuid = launch("trap 'sleep 0.3; exit 5' TERM; while :; do sleep 0.01; done");
  await until('it runs', () => scripts.states().length === 1);
  await ended(launch('sleep 0.2'));
  scripts.terminate(uuid, 'stop', 2_147_483_647);
  t.match(await ended(uuid), { end: { kind: 'exited', exitCode: 5 } });
});

t.test('a script that is forgotten while its output is not read ends', async () => {
  const { scripts, launch } = launcher();
  const uuid = launch('yes');
  await until('its window is full', () => scripts.states().length === 1);
  scripts.forget(uuid);
  await until('it is gone', () => scripts.states().length === 0);
});
