/** Scripts that leave something behind on purpose: nothing of them lives once their end is reported. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { processesWith } from '../../test/helpers/processes.ts';
import { until } from '../../test/helpers/until.ts';
import type { Fault, Round } from '../fault.ts';
import { inTurn } from '../in-turn.ts';
import { OPEN_WAIT, wait } from '../waiting.ts';
import { World } from '../world.ts';

const ESCAPEE = fileURLToPath(new URL('../escapee.sh', import.meta.url));
/** After this an escapee ends by itself, in s. */
const LIFE_S = 60;
/** How often an escapee shows that it lives is every 20 ms; one that is silent for this long is dead, in ms. */
const SILENCE_MS = 1500;
const TIMEOUT_MS = 4000;

/** Ways to escape: bash that starts `run`, which is an escapee with its arguments. */
const WAYS = {
  'setsid double fork': (run: string) => `(setsid ${run} stay > /dev/null 2>&1 < /dev/null &)`,
  'env -i setsid': (run: string) => `env -i setsid ${run} stay > /dev/null 2>&1 < /dev/null &`,
  'trap TERM': (run: string) => `trap '' TERM; ${run} stay &`,
  nohup: (run: string) => `nohup ${run} stay > /dev/null 2>&1 < /dev/null &`,
  'env -i double fork': (run: string) => `env -i setsid bash -c '(setsid ${run} stay &)' > /dev/null 2>&1 < /dev/null`,
  refork: (run: string) => `${run} refork > /dev/null 2>&1 < /dev/null &`,
} as const;
type Way = keyof typeof WAYS;

/** How the command ends after the escape. */
const ENDINGS = ['stop', 'delete', 'exit', 'timeout'] as const;
type Ending = (typeof ENDINGS)[number];

interface Attempt {
  way: Way;
  ending: Ending;
  trail: string;
  uuid: string;
  /** When the end was reported, in s since the epoch. */
  reportedAt: number;
}

const attempts = `${Object.keys(WAYS).length} ways to escape x ${ENDINGS.join(', ')}: ${Object.keys(WAYS).length * ENDINGS.length} attempts a round`;

export const escapes: Fault = {
  name: 'escapes',
  summary: attempts,
  roundsOf200: 42,
  round: (round) => tryEscapes(round, {}),
};

export const escapesWithoutCgroups: Fault = {
  name: 'escapes-without-cgroups',
  summary: 'the same where there are no control groups',
  roundsOf200: 42,
  round: (round) => tryEscapes(round, { SHELLVISOR_CGROUPS: 'off' }),
};

/** Tries all ways with all endings, several at once. */
async function tryEscapes(round: Round, settings: Record<string, string>): Promise<void> {
  const { random } = round;
  const env = { SHELLVISOR_TIMEOUT_MS: `${TIMEOUT_MS}`, SHELLVISOR_STOP_GRACE_MS: '300', ...settings };
  const world = await World.start(round, { env });
  const fifo = join(world.folder, 'fifo');
  const stop = join(world.folder, 'stop');
  spawnSync('mkfifo', [fifo]);
  // Whatever happens, no escapee outlives the round, and its folder is not removed before its end.
  round.scope.teardown(async () => {
    writeFileSync(stop, '');
    await until('all escapees have ended', () => processesWith(world.folder).length === 0, (LIFE_S + 10) * 1000);
  });
  const ways = Object.keys(WAYS) as Way[];
  const plan = ways.flatMap((way) => ENDINGS.map((ending) => ({ way, ending, jitterMs: random.int(0, 200) })));
  const made: Attempt[] = [];
  await inTurn(6, plan.length, async (i) => {
    const { way, ending, jitterMs } = plan[i] as (typeof plan)[number];
    const trail = join(world.folder, `trail-${i}`);
    const run = ['bash', ESCAPEE, trail, stop, fifo, Math.floor(Date.now() / 1000) + LIFE_S].join(' ');
    const last =
      ending === 'exit' ? `until [ -s ${trail} ]; do ${wait(20)}; done; ${wait(jitterMs + 1)}; exit 0` : 'sleep 600';
    const script = `${WAYS[way](run)}\n${OPEN_WAIT}\n${last}`;
    const { uuid } = (await world.insist('POST', '/api/v1/commands', { script })).body;
    await until('the escapee lives', () => existsSync(trail));
    await delay(jitterMs);
    await bringToEnd(world, uuid, ending);
    made.push({ way, ending, trail, uuid, reportedAt: Date.now() / 1000 });
  });
  await delay(SILENCE_MS);
  for (const attempt of made) judge(round, attempt);
}

/** Resolves once the end is reported. */
async function bringToEnd(world: World, uuid: string, ending: Ending): Promise<void> {
  const path = `/api/v1/commands/${uuid}`;
  if (ending === 'stop') await world.insist('PATCH', path);
  else if (ending === 'delete') await world.insist('DELETE', path);
  else
    await until(`${uuid} has ended`, async () => {
      const answer = await world.request('GET', path);
      return answer?.body.ended_at;
    });
}

function judge({ tally }: Round, { way, ending, trail, uuid, reportedAt }: Attempt): void {
  const signs = readFileSync(trail, 'latin1').trim().split('\n');
  const late = signs.filter((sign) => Number(sign.split(' ')[0]) > reportedAt);
  const found = `${late.length} signs of life after it, the last by process ${late.at(-1)?.split(' ')[1]}`;
  tally.find(
    'survivors',
    late.length > 0 ? 1 : 0,
    `${way}, ${ending} (${uuid})`,
    'silence once its end is told',
    found,
  );
}
