/** A stop or a delete that comes about when the script ends by itself: one terminal state, and it never changes. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { processesOf } from '../../test/helpers/oracle.ts';
import type { Fault, Round } from '../fault.ts';
import type { Answer } from '../ground.ts';
import { inTurn } from '../in-turn.ts';
import { World } from '../world.ts';

const TRIALS = 50;
const QUICK_TRIALS = 30;
/** How long a script runs, in ms; requests come around then. */
const RUN_MS = 60;

/** One trial and its answer. */
interface Trial {
  i: number;
  uuid: string;
  answer: Answer;
}

export const stopRace: Fault = {
  name: 'stop-race',
  summary: `stop racing exit, ${TRIALS} trials a round`,
  roundsOf200: 20,
  round: (round) => race(round, 'PATCH', judgeStop),
};

export const deleteRace: Fault = {
  name: 'delete-race',
  summary: `delete racing exit, ${TRIALS} trials a round`,
  roundsOf200: 20,
  round: (round) => race(round, 'DELETE', judgeDelete),
};

type Judge = (round: Round, world: World, trial: Trial) => Promise<void>;

async function race(round: Round, method: string, judge: Judge): Promise<void> {
  const { random, quick, tally } = round;
  const count = quick ? QUICK_TRIALS : TRIALS;
  const jitters = Array.from({ length: count }, () => random.int(-RUN_MS, 2 * RUN_MS));
  const world = await World.start(round);
  const trials: Trial[] = [];
  await inTurn(4, count, async (i) => {
    const script = `echo ran >> '${marks(world, i)}'; echo hello; sleep ${RUN_MS / 1000}; exit 3`;
    const path = i % 2 === 0 ? '/api/v1/commands' : '/api/v1/durables/commands';
    const { uuid } = (await world.insist('POST', path, { script })).body;
    await delay(Math.max(0, RUN_MS + (jitters[i] as number)));
    trials.push({ i, uuid, answer: await world.request(method, `/api/v1/commands/${uuid}`) });
  });
  for (const trial of trials) {
    await judge(round, world, trial);
    const left = processesOf(trial.uuid);
    tally.find('survivors', left.length, trial.uuid, 'no process', left.join(', '));
    const file = marks(world, trial.i);
    const runs = existsSync(file) ? readFileSync(file, 'latin1').split('\n').length - 1 : 0;
    tally.find('double runs', Math.max(0, runs - 1), trial.uuid, 'one run', `${runs}`);
  }
}

const marks = (world: World, i: number) => join(world.folder, `mark-${i}`);

async function judgeStop({ tally }: Round, world: World, { uuid, answer }: Trial): Promise<void> {
  const read = async () => (await world.insist('GET', `/api/v1/commands/${uuid}`)).body;
  await world.calm();
  const first = await read();
  const stopped = first.status === 'STOPPED' && first.reason === 'stop';
  const ended = first.status === 'FAILED' && first.reason === 'exit' && first.exit_code === 3;
  const isRight = answer?.status === 200 ? stopped : answer?.status === 409 && ended;
  const found = `${answer?.status}, then ${first.status}, ${first.reason}, ${first.exit_code}`;
  tally.find('wrong outcomes', isRight ? 0 : 1, uuid, '200 and STOPPED, or 409 and FAILED with 3', found);
  if (ended && first.output !== 'hello\n') tally.find('bytes lost', 6, uuid, 'hello', first.output);
  const again = await world.request('PATCH', `/api/v1/commands/${uuid}`);
  tally.find('wrong outcomes', again?.status === answer?.status ? 0 : 1, uuid, `${answer?.status}`, `${again?.status}`);
  const [before, after] = [first, await read()].map((body) => JSON.stringify(body));
  tally.find('wrong outcomes', before === after ? 0 : 1, uuid, `still ${before}`, `${after}`);
}

async function judgeDelete({ tally }: Round, world: World, { uuid, answer }: Trial): Promise<void> {
  tally.find('wrong outcomes', answer?.status === 204 ? 0 : 1, uuid, '204', `${answer?.status}`);
  const later = await world.request('GET', `/api/v1/commands/${uuid}`);
  tally.find('wrong outcomes', later?.status === 404 ? 0 : 1, uuid, '404 once deleted', `${later?.status}`);
  const again = await world.request('DELETE', `/api/v1/commands/${uuid}`);
  tally.find('wrong outcomes', again?.status === 404 ? 0 : 1, uuid, '404 for another delete', `${again?.status}`);
  const { rows } = await world.query('SELECT FROM commands WHERE command_uuid = $1', [uuid]);
  tally.find('wrong outcomes', rows.length, uuid, 'no row', 'a row');
}
