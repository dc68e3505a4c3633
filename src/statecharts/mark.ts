/**
 * Marks in the picture of a machine where it is and how it came there. The picture stays text: what is drawn is found by
 * its ids, and shown by classes and one style, so that nothing is laid out while the server runs.
 */
import { around, initialId, inside, type SeenStep, type Statechart, transitionOf } from './chart.ts';
import type { DrawnStatechart } from './read.ts';

/** What is marked: a state and, where they are known, the steps that led there. */
export interface Marks {
  state: string;
  /** Oldest first; `at` is shown as it is. */
  path?: readonly (SeenStep & { at: string })[];
  /** What the picture shows, in a few words: the lines that stand below it. */
  caption: readonly string[];
}

/**
 * The one style of marked pictures. They are told apart by the width of their lines too, not by colour alone. A dark page
 * gets a dark picture.
 */
export const STYLE = `
:root { color-scheme: light dark }
.visited > path:not([fill=none]) { fill: #cfdcfb }
.taken > path { stroke: #b3261e; stroke-width: 2.5 }
.taken > polygon { fill: #b3261e; stroke: #b3261e }
.around > path { stroke: #b3261e; stroke-width: 2 }
.current > path { stroke: #b3261e; stroke-width: 3.5 }
.current > path:not([fill=none]) { fill: #ffd88a }
@media (prefers-color-scheme: dark) {
  text { fill: #e6eaf0 }
  .ground, .graph > polygon { fill: #121212 }
  .cluster > path { fill: #ffffff; fill-opacity: .05 }
  .node > path { fill: #1d2a44 }
  .node > path[fill=none] { fill: none }
  .node > ellipse { fill: #e6eaf0; stroke: #e6eaf0 }
  .any > ellipse { fill: #121212 }
  .final > path { fill: #15301f }
  .edge > path { stroke: #9aa8b8 }
  .edge > polygon { fill: #9aa8b8; stroke: #9aa8b8 }
  .visited > path:not([fill=none]) { fill: #2d4a85 }
  .taken > path { stroke: #ff8a70 }
  .taken > polygon { fill: #ff8a70; stroke: #ff8a70 }
  .around > path, .current > path { stroke: #ff8a70 }
  .current > path:not([fill=none]) { fill: #7a4a00 }
}
`;

/** The beginning of the picture of something that has an id: its class, and what is shown when one points at it. */
const DRAWN = /<g id="([^"]+)" class="([^"]+)">\n<title>([^<]*)<\/title>/g;
/** The size of a picture, which is in points and has its corner at 0. */
const SIZE = /^<svg width="(\d+)pt" height="(\d+)pt"\s+viewBox="[^"]*"/;
/** The height of each line below the picture, in points. */
const LINE = 18;

/** The picture with its marks, for whoever opens it alone: it says in words what it shows. */
export function markPicture({ chart, picture }: DrawnStatechart, { state, path = [], caption }: Marks): string {
  const classes = classesOf(chart, state, path);
  const titles = titlesOf(chart, path);
  const [head, width = '', height = ''] = SIZE.exec(picture) ?? [];
  if (head === undefined) throw new Error(`the picture of the ${chart.id} machine does not say how large it is`);
  const total = Number(height) + LINE * caption.length + LINE / 2;
  const start = picture.indexOf('>', head.length) + 1;
  const ids = [`${chart.id}_title`, `${chart.id}_desc`];
  const font = `font-family="Helvetica, Arial, 'Liberation Sans', sans-serif"`;
  return [
    `<svg width="${width}pt" height="${total}pt" viewBox="0 0 ${width} ${total}" role="img" aria-labelledby="${ids.join(' ')}"`,
    `${picture.slice(head.length, start)}\n`,
    `<title id="${ids[0]}">${escaped(caption.join(': '))}</title>\n`,
    `<desc id="${ids[1]}">${escaped(inWords(state, path))}</desc>\n`,
    `<style>${STYLE}</style>\n`,
    `<rect class="ground" width="${width}" height="${total}" fill="#ffffff"/>\n`,
    ...caption.map(
      (line, i) =>
        `<text x="22" y="${Number(height) + LINE * (i + 0.5)}" ${font} font-size="12" fill="#1f2933">${escaped(line)}</text>\n`,
    ),
    picture
      .slice(start)
      .replaceAll(DRAWN, (_, id: string, own: string, title: string) =>
        [
          `<g id="${id}" class="${[own, ...(classes.get(id) ?? [])].join(' ')}">`,
          `<title>${titles.get(id)?.map(escaped).join('; ') ?? title}</title>`,
        ].join('\n'),
      ),
  ].join('');
}

/**
 * What is drawn, by its ids: the classes that say where the machine is and was, and which arrows it took. The dashboard marks
 * its pictures by it too.
 */
export function classesOf(chart: Statechart, state: string, path: readonly SeenStep[]): Map<string, Set<string>> {
  const classes = new Map<string, Set<string>>();
  const mark = (id: string, name: string) => classes.set(id, (classes.get(id) ?? new Set()).add(name));
  for (const step of path) {
    const taken = transitionOf(chart, step);
    if (taken !== undefined) mark(taken.id, 'taken');
    else if (step.from === null) mark(initialId(chart.id), 'taken');
    const entered = inside(chart, taken?.to ?? step.to);
    for (const outer of entered.slice(0, -1)) mark(initialId(outer.id), 'taken');
    for (const { id, type } of entered) if (type !== 'compound') mark(id, 'visited');
  }
  const [current, ...outer] = around(chart, state);
  if (current !== undefined) mark(current.id, 'current');
  for (const { id } of outer) mark(id, 'around');
  return classes;
}

/** For each arrow that was taken, the steps that went along it. */
function titlesOf(chart: Statechart, path: Required<Marks>['path']): Map<string, string[]> {
  const titles = new Map<string, string[]>();
  for (const [i, step] of path.entries()) {
    const id = step.from === null ? initialId(chart.id) : transitionOf(chart, step)?.id;
    if (id !== undefined) titles.set(id, [...(titles.get(id) ?? []), `${i + 1}. ${step.event}, ${step.at}`]);
  }
  return titles;
}

function inWords(state: string, path: Required<Marks>['path']): string {
  const steps = path.map(({ event, to, at }, i) => `${i + 1}. ${event}, to ${to}, at ${at}.`);
  return [`It is in the state ${state}.`, ...(steps.length === 0 ? [] : ['Its steps:', ...steps])].join(' ');
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
