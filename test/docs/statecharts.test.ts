import { readFileSync } from 'node:fs';
import t from 'tap';
import { type AnyStateNode, setup } from 'xstate';
import { describeMachine } from '../../scripts/statecharts/describe.ts';
import { drawStatechart } from '../../scripts/statecharts/draw.ts';
import { STATECHARTS } from '../../scripts/statecharts.ts';
import { initialId, type Statechart } from '../../src/statecharts/chart.ts';
import { startBrowser } from '../helpers/browser.ts';

/** The lines of text that a person sees in a picture. */
function textsOf(svg: string): string[] {
  const lines = [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, line]) => line ?? '');
  return lines.map((line) => line.replaceAll('&#160;', '').replaceAll(/&#45;/g, '-').trim());
}

function statesOf(node: AnyStateNode): AnyStateNode[] {
  return [node, ...Object.values(node.states).flatMap(statesOf)];
}

/** How often each shape of a picture is drawn, by the id of what it stands for. */
function shapesOf(svg: string, id: string): number {
  const [, group = ''] = svg.match(new RegExp(`<title>${id}</title>([^]*?)</g>`)) ?? [];
  return group.match(/<path /g)?.length ?? 0;
}

for (const { machine, file, dataFile } of STATECHARTS) {
  t.test(`the picture of the ${machine.id} machine`, async (t) => {
    const svg = readFileSync(file, 'utf8');
    const texts = textsOf(svg);

    t.test('is what the code says (else: npm run statecharts)', async (t) => {
      t.equal(svg, await drawStatechart(describeMachine(machine)));
    });

    t.test('has its data beside it, as the code says it, with the ids of what is drawn', async (t) => {
      const chart: Statechart = JSON.parse(readFileSync(dataFile, 'utf8'));
      t.same(chart, describeMachine(machine), 'else: npm run statecharts');
      const drawn = new Set([...svg.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
      for (const { id } of chart.states) t.ok(drawn.has(id), id);
      for (const { id, to } of chart.transitions) t.equal(drawn.has(id), to !== null, id);
      for (const { id, initial } of [chart, ...chart.states]) t.equal(drawn.has(initialId(id)), initial !== null, id);
    });

    t.test('shows each state by its name, a final one doubled', async (t) => {
      for (const state of statesOf(machine.root)) {
        t.ok(texts.includes(state.key), state.id);
        if (Object.keys(state.states).length > 0) t.match(svg, `<title>cluster ${state.id}</title>`);
        else t.equal(shapesOf(svg, state.id), state.type === 'final' ? 2 : 1, `the borders of ${state.id}`);
      }
    });

    t.test('shows each event that the machine knows', async (t) => {
      const events = machine.events.filter((event) => !event.startsWith('xstate.'));
      t.ok(events.length > 0);
      for (const event of events) {
        t.ok(
          texts.some((line) => line === event || line.startsWith(`${event} /`)),
          event,
        );
      }
    });

    t.test("speaks to people: no name of XState's own is in it", async (t) => {
      t.notMatch(texts.join('\n'), /xstate\./);
    });

    t.test('has a ground of its own, for dark pages', async (t) => {
      t.match(svg, /<title>\w+<\/title>\s*<polygon fill="#ffffff"/);
    });
  });
}

t.test('timers, invoked actors, guards and actions are readable', async (t) => {
  const [command, supervisor] = STATECHARTS.map(({ file }) => textsOf(readFileSync(file, 'utf8')));
  const expected = ['after grace', 'after timeout', '[hasTimeout]', 'store is done', '[isStopped]', '[else]'];
  const inside = ['store failed', 'invokes process', 'entry / terminate', 'exit / releaseSlot', '/ recordStop'];
  for (const line of [...expected, ...inside]) t.ok(command?.includes(line), line);
  for (const line of ['[isDrained]', 'an actor is done / forgetCommand']) t.ok(supervisor?.includes(line), line);
});

t.test('text stays in its box and beside all others, in whatever font a browser takes', async (t) => {
  const page = await (await startBrowser(t)).newPage();
  // The last one is as wide as Verdana, on every machine: Open Sans comes with the browser.
  const fonts = [
    '',
    'text { font-family: "DejaVu Sans" }',
    'text { font-family: "Open Sans"; letter-spacing: 0.045em }',
  ];
  for (const { machine, file } of STATECHARTS) {
    const svg = readFileSync(file, 'utf8');
    for (const font of fonts) {
      await page.setContent(`<style>${font}</style>${svg}`);
      const { count, faults } = await page.evaluate(faultsOfLayout);
      t.equal(count, textsOf(svg).length);
      t.same(faults, [], `${machine.id} ${font}`);
    }
  }
});

/** Texts that stick out of their box or, of arrows, stand on a box or on another text. Runs in the browser. */
function faultsOfLayout() {
  // biome-ignore lint/suspicious/noExplicitAny: these tests are compiled without the types of browsers
  const { document } = globalThis as any;
  const all = (selector: string, from = document) => [...from.querySelectorAll(selector)];
  const boxOf = (element: { getBoundingClientRect(): { left: number; right: number; top: number; bottom: number } }) =>
    element.getBoundingClientRect();
  type Box = ReturnType<typeof boxOf>;
  const isInside = (inner: Box, outer: Box) =>
    inner.left > outer.left && inner.right < outer.right && inner.top > outer.top && inner.bottom < outer.bottom;
  const meet = (a: Box, b: Box) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const nodes = all('.node').map((node) => boxOf(all('path, ellipse', node)[0]));
  const texts = all('text').map((text) => ({ text, box: boxOf(text) }));
  const faults = texts.filter(({ text, box }) => {
    const group = text.parentNode;
    const frame = boxOf(all('path, ellipse', group)[0]);
    if (!group.matches('.edge')) return !isInside(box, frame);
    const others = texts.filter((other) => other.text.parentNode !== group).map((other) => other.box);
    const isOutside = !isInside(box, boxOf(document.querySelector('.cluster path')));
    return isOutside || [...nodes, ...others].some((other) => meet(box, other));
  });
  return { count: texts.length, faults: faults.map(({ text }) => text.textContent) };
}

t.test('what the server reads of them while it runs is in its image, and in its package', async (t) => {
  const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
  t.ok(read('.dockerignore').split('\n').includes('!docs/statecharts'));
  t.ok(JSON.parse(read('package.json')).files.includes('docs'));
});

t.test('a change of a machine changes its picture', async (t) => {
  const lamp = (on: string) =>
    setup({}).createMachine({
      id: 'lamp',
      initial: 'dark',
      states: { dark: { on: { [on]: 'bright' } }, bright: { after: { 500: 'dark' } } },
    });
  const before = textsOf(await drawStatechart(describeMachine(lamp('press'))));
  const after = textsOf(await drawStatechart(describeMachine(lamp('a < b & c'))));
  t.same(before, ['lamp', 'dark', 'bright', 'press', 'after 500 ms']);
  t.same(after, ['lamp', 'dark', 'bright', 'a &lt; b &amp; c', 'after 500 ms']);
});
