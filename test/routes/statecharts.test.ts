import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { type Statechart, transitionOf } from '../../src/statecharts/chart.ts';
import { readStatechart } from '../../src/statecharts/read.ts';
import { startApp } from '../helpers/app.ts';
import { arrowOf, type PathStep } from '../helpers/path.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const { submit, reaches, request, database, commander } = await startApp(t, { stopGraceMs: 100, maxParallel: 2 });
const { chart } = readStatechart('command');

type Step = PathStep & { at: string; transition: string | null };
const COMMANDS = '/api/v1/commands';
const statechart = (uuid: string) => request('GET', `${COMMANDS}/${uuid}/statechart`);
const picture = async (uuid: string): Promise<string> =>
  (await request('GET', `${COMMANDS}/${uuid}/statechart.svg`)).body;

/** The classes of something drawn that marks have given to it. */
function marksOf(svg: string, id: string): string[] {
  const [, classes] = new RegExp(`<g id="${id}" class="([^"]+)">`).exec(svg) ?? [];
  if (classes === undefined) throw new Error(`${id} is not drawn`);
  return classes.split(' ').filter((name) => !['node', 'edge', 'cluster', 'final'].includes(name));
}
/** All that has a mark. */
const marked = (svg: string, mark: string) =>
  [...svg.matchAll(/<g id="([^"]+)" class="([^"]+)">/g)]
    .filter(([, , all]) => all?.split(' ').includes(mark))
    .map(([, id]) => id);
/** The id of the arrow from one state to another. */
const arrow = (from: string, event: string, to: string) =>
  chart.transitions.find((each) => each.from === from && each.event === event && each.to === to)?.id ?? 'no such arrow';

const UP = [
  'command_initial',
  arrow('queued', 'start', 'executing'),
  'command.executing_initial',
  arrow('executing.starting', 'process.started', 'executing.running'),
];

t.test('a command that has ended tells its machine, its state, and its path with the arrows it took', async (t) => {
  const uuid = await submit('exit 0');
  await reaches(uuid, 'EXECUTED');
  const { status, body } = await statechart(uuid);
  t.equal(status, 200);
  t.same(body.machine, chart);
  t.equal(body.state, 'executed');
  const { body: transitions } = await request('GET', `${COMMANDS}/${uuid}/transitions`);
  t.same(
    body.path.map(({ transition: _, ...step }: Step) => step),
    transitions,
  );
  t.same(
    body.path.map(({ transition }: Step) => transition),
    [
      null,
      arrow('queued', 'start', 'executing'),
      UP[3],
      arrow('executing', 'process.ended', 'storing'),
      arrow('storing', 'store is done', 'executed'),
    ],
  );
});

t.test('its picture has them marked, and says them in words', async (t) => {
  const uuid = await submit('exit 3');
  await reaches(uuid, 'FAILED');
  const { body } = await statechart(uuid);
  const { status, headers, body: svg } = await request('GET', `${COMMANDS}/${uuid}/statechart.svg`);
  t.equal(status, 200);
  t.equal(headers['content-type'], 'image/svg+xml; charset=utf-8');
  t.same(marked(svg, 'current'), ['command.failed']);
  t.same(
    marked(svg, 'taken').sort(),
    [...UP, arrow('executing', 'process.ended', 'storing'), arrow('storing', 'store is done', 'failed')].sort(),
  );
  t.same(marked(svg, 'visited').sort(), [
    'command.executing.running',
    'command.executing.starting',
    'command.failed',
    'command.queued',
    'command.storing',
  ]);
  t.match(svg, `<title id="command_title">command ${uuid}: failed</title>`);
  t.match(svg, `4. process.ended, to storing, at ${body.path[3].at}.`);
  t.match(svg, `<title>2. start, ${body.path[1].at}</title>`);
});

t.test('a picture may show itself with its one style, and nothing else', async (t) => {
  const uuid = await submit('true');
  await reaches(uuid, 'EXECUTED');
  const { headers, body: svg } = await request('GET', `${COMMANDS}/${uuid}/statechart.svg`);
  const [style, ...others] = [...svg.matchAll(/<style>(.*?)<\/style>/gs)].map(([, text]) => text ?? '');
  t.same(others, []);
  const hash = createHash('sha256').update(`${style}`).digest('base64');
  t.equal(headers['content-security-policy'], `default-src 'none'; style-src 'sha256-${hash}'; frame-ancestors 'none'`);
  t.equal(headers['x-content-type-options'], 'nosniff');
  t.notMatch(svg, /<script|\son\w+=| style="|href=|<foreignObject|<!DOCTYPE/i);
});

t.test('the state of a command that runs is lit, with what it lies in, and so is the ladder of its stop', async (t) => {
  const ready = join(temporaryFolder(t), 'ready');
  const uuid = await submit(`trap '' TERM; >'${ready}'; while :; do sleep 0.02; done`);
  await until('it shows as running', async () => (await statechart(uuid)).body.state === 'executing.running');
  await until('it ignores SIGTERM', () => existsSync(ready));
  const running = await picture(uuid);
  t.same(marksOf(running, 'command.executing.running'), ['visited', 'current']);
  t.same(marksOf(running, 'command.executing'), ['around']);
  t.same(marksOf(running, 'command'), []);
  t.same(marked(running, 'taken').sort(), UP.toSorted());
  await request('PATCH', `${COMMANDS}/${uuid}`);
  const stopped = await picture(uuid);
  t.same(marked(stopped, 'current'), ['command.stopped']);
  for (const step of [
    arrow('executing', 'stop', 'executing.terminating'),
    arrow('executing.terminating', 'after grace', 'executing.killing'),
  ]) {
    t.same(marksOf(stopped, step), ['taken']);
  }
  t.same(marksOf(stopped, arrow('executing', 'process.overflowed', 'executing.terminating')), []);
});

t.test('commands of other servers are told too, and of earlier ones', async (t) => {
  const other = await startApp(t, { database, owner: 2 });
  const uuid = await submit('exec sleep 60');
  await until('it shows as running', async () => {
    const { body } = await other.request('GET', `${COMMANDS}/${uuid}/statechart`);
    return body.state === 'executing.running';
  });
  await request('PATCH', `${COMMANDS}/${uuid}`);
  t.match((await other.request('GET', `${COMMANDS}/${uuid}/statechart`)).body, { state: 'stopped' });
});

t.test('what is no command has no statechart', async (t) => {
  for (const uuid of ['00000000-0000-4000-8000-000000000000', 'x']) {
    for (const answer of [await statechart(uuid), await request('GET', `${COMMANDS}/${uuid}/statechart.svg`)]) {
      t.match(answer, { status: 404, body: { code: 'COMMAND_NOT_FOUND' } });
    }
  }
});

t.test('the arrow of a step is the one that is drawn for it', async (t) => {
  // Every step that could be, the senseless ones too.
  const states = chart.states.filter(({ type }) => type !== 'compound').map(({ name }) => name);
  const events = [...new Set(chart.transitions.map(({ event }) => `${event}`))];
  let drawn = 0;
  for (const from of states) {
    for (const event of events) {
      for (const to of states) {
        const step = { from, event, to };
        if ((transitionOf(chart, step) !== undefined) !== (arrowOf(step) !== undefined)) t.fail(JSON.stringify(step));
        if (transitionOf(chart, step) !== undefined) drawn++;
      }
    }
  }
  t.ok(drawn > chart.transitions.filter(({ to }) => to !== null).length);
});

t.test('the supervisor tells its machine, its state, and what it has to do', async (t) => {
  const uuids = [await submit('exec sleep 60'), await submit('exec sleep 60'), await submit('true')];
  await until('all slots are taken', () => commander.load().executing === 2);
  const { status, body } = await request('GET', '/manage/statechart');
  t.equal(status, 200);
  t.same(body, {
    machine: readStatechart('supervisor').chart,
    state: 'accepting',
    queue: { waiting: 1, executing: 2, max_parallel: 2, max_queued: 100 },
    storing: 0,
  });
  const drawn = await request('GET', '/manage/statechart.svg');
  t.equal(drawn.headers['content-type'], 'image/svg+xml; charset=utf-8');
  t.same(marked(drawn.body, 'current'), ['supervisor.accepting']);
  t.match(drawn.body, '>2 of 2 slots, 1 waiting, 0 storing</text>');
  await Promise.all(uuids.map((uuid) => request('DELETE', `${COMMANDS}/${uuid}`)));
});

t.test('a supervisor that ends says so', async (t) => {
  const { request, commander } = await startApp(t);
  await commander.drain();
  t.match((await request('GET', '/manage/statechart')).body, { state: 'drained', queue: { executing: 0 } });
  t.same(marked((await request('GET', '/manage/statechart.svg')).body, 'current'), ['supervisor.drained']);
});

t.test('the data has the shape that the documentation gives it', async (t) => {
  const { body } = await request('GET', '/manage/statechart');
  const { transitions, states }: Statechart = body.machine;
  t.match(
    transitions.find(({ event }) => event === 'stop'),
    { from: null, to: null, actions: ['stopCommand'] },
  );
  t.match(
    states.map(({ name }) => name),
    ['accepting', 'draining', 'drained'],
  );
  t.match(
    transitions.find(({ to }) => to === 'drained'),
    { from: 'draining', event: null, guard: 'isDrained' },
  );
});
