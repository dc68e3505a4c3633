import t from 'tap';
import { markPicture } from '../../src/statecharts/mark.ts';
import { readStatechart } from '../../src/statecharts/read.ts';
import { startApp } from '../helpers/app.ts';
import { problemsOf, startBrowser } from '../helpers/browser.ts';

const command = readStatechart('command');
const at = '2026-11-26T10:00:00.000Z';
const step = (from: string | null, event: string, to: string) => ({ from, event, to, at });

const classesOf = (svg: string, id: string) => new RegExp(`<g id="${id}" class="([^"]+)">`).exec(svg)?.[1];

t.test('a command that became lost has its last state lit, and no arrow that it did not take', async (t) => {
  const path = [
    step(null, 'admit', 'queued'),
    step('queued', 'start', 'executing.starting'),
    step('executing.starting', 'lost', 'failed'),
  ];
  const svg = markPicture(command, { state: 'failed', path, caption: [] });
  t.equal(classesOf(svg, 'command.failed'), 'node final visited current');
  const taken = [...svg.matchAll(/<g id="([^"]+)" class="edge taken">\n<title>([^<]*)/g)].map(([, ...both]) => both);
  t.same(taken.sort(), [
    ['command.executing_initial', 'command.executing starts&#45;&gt;command.executing.starting'],
    ['command_0', `2. start, ${at}`],
    ['command_initial', `1. admit, ${at}`],
  ]);
  t.match(svg, `3. lost, to failed, at ${at}.</desc>`);
});

t.test('an arrow that was taken again names both steps', async (t) => {
  const path = [
    step(null, 'admit', 'queued'),
    step(null, 'readmit', 'queued'),
    step('queued', 'resume', 'executing.attaching'),
  ];
  const svg = markPicture(command, { state: 'executing.attaching', path, caption: [] });
  t.match(svg, `<title>1. admit, ${at}; 2. readmit, ${at}</title>`);
  t.equal(classesOf(svg, 'command.executing_initial'), 'edge', 'it did not begin anew inside');
});

t.test('what stands in a picture is text, whatever it is', async (t) => {
  const svg = markPicture(command, { state: 'queued', caption: ['<script>&'] });
  t.match(svg, '>&lt;script&gt;&amp;</text>');
  t.notMatch(svg, '<script>');
});

t.test('a browser shows a picture under its policy, light and dark', async (t) => {
  const { app, submit, reaches } = await startApp(t);
  const uuid = await submit('true');
  await reaches(uuid, 'EXECUTED');
  const address = await app.listen({ port: 0 });
  const browser = await startBrowser(t);
  const page = await browser.newPage();
  const problems = problemsOf(page);

  /** Colours of what is drawn and of what is written in it, and how wide its border is. */
  const looks = async (colorScheme: 'light' | 'dark', url: string, id: string) => {
    await page.emulateMedia({ colorScheme });
    await page.goto(address + url);
    // As text: the types of the project know no document.
    const look = `(() => {
      const style = (what) => getComputedStyle(document.getElementById('${id}').querySelector(what));
      const { fill, strokeWidth } = style('path');
      return { fill, strokeWidth, text: style('text').fill };
    })()`;
    return (await page.evaluate(look)) as { fill: string; strokeWidth: string; text: string };
  };
  const url = `/api/v1/commands/${uuid}/statechart.svg`;
  const light = await looks('light', url, 'command.executed');
  t.match(light, { fill: 'rgb(255, 216, 138)', strokeWidth: '3.5px' });
  t.equal(await page.title(), `command ${uuid}: executed`);
  const dark = await looks('dark', url, 'command.executed');
  t.match(dark, { fill: 'rgb(122, 74, 0)', strokeWidth: '3.5px' });

  // WCAG 2.2, 1.4.3: what is read stands out from its ground by 4.5 at least.
  for (const [scheme, id] of [
    ['light', 'command.executed'],
    ['dark', 'command.executed'],
    ['light', 'command.queued'],
    ['dark', 'command.queued'],
    ['dark', 'command.failed'],
    ['dark', 'command.executing.killing'],
  ] as const) {
    const { fill, text } = await looks(scheme, url, id);
    t.ok(contrast(fill, text) >= 4.5, `${id}, ${scheme}: ${contrast(fill, text).toFixed(1)}`);
  }
  t.match(await looks('dark', '/manage/statechart.svg', 'supervisor.accepting'), { fill: 'rgb(122, 74, 0)' });
  t.same(problems, []);
});

/** How much two colours stand out from each other, as `rgb(1, 2, 3)`: 1 to 21. */
function contrast(one: string, other: string): number {
  const [low = 0, high = 0] = [one, other].map(luminance).sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

function luminance(colour: string): number {
  const [r = 0, g = 0, b = 0] = (colour.match(/\d+/g) ?? []).map((part) => {
    const value = Number(part) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

t.test('a step goes along the arrow of the state that it leaves, not of the one around it', async (t) => {
  const marked = (from: string) => {
    const svg = markPicture(command, {
      state: 'executing.killing',
      path: [step(from, 'kill', 'executing.killing')],
      caption: [],
    });
    return [...svg.matchAll(/<g id="([^"]+)" class="edge taken">/g)].map(([, id]) => id);
  };
  const [inGrace, atOnce] = [marked('executing.terminating'), marked('executing.running')];
  t.equal(inGrace.length, 1);
  t.equal(atOnce.length, 1);
  t.not(inGrace[0], atOnce[0]);
  const arrow = command.chart.transitions.find(({ id }) => id === inGrace[0]);
  t.match(arrow, { from: 'executing.terminating', event: 'kill', to: 'executing.killing' });
});
