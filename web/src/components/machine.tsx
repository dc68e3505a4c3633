/** The picture of a machine, with marks on it: the state that it is in, and the arrows that it took. */
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import type { SeenStep } from '../../../src/statecharts/chart.ts';
import { classesOf } from '../../../src/statecharts/mark.ts';
import type { DrawnStatechart } from '../statecharts/drawn.ts';

export interface MachineProps {
  drawn: DrawnStatechart;
  /** What the picture shows, in words. */
  label: string;
  /** The state to light; undefined: it is in none. */
  state: string | undefined;
  /** The steps to mark, oldest first. */
  path?: readonly SeenStep[];
}

export function Machine({ drawn, label, state, path = [] }: MachineProps) {
  const frame = useRef<HTMLElement>(null);
  const svg = useMemo(() => svgOf(drawn.picture), [drawn]);
  useLayoutEffect(() => frame.current?.replaceChildren(svg), [svg]);
  useLayoutEffect(() => {
    svg.setAttribute('aria-label', label);
    const classes = classesOf(drawn.chart, state ?? '', path);
    for (const part of svg.querySelectorAll('g[id]')) {
      const marks = [...(classes.get(part.id) ?? [])];
      part.setAttribute('class', [part.getAttribute('data-class'), ...marks].join(' '));
    }
    reveal(svg.querySelector('.current'), frame.current);
  }, [svg, label, state, path]);
  // Where there is no room for it, it is scrolled, by keys too.
  // biome-ignore lint/a11y/noNoninteractiveTabindex: see above
  return <section class="machine" ref={frame} aria-label={label} tabIndex={0} />;
}

/** The picture as an element, of which each part remembers the class that it was drawn with. */
function svgOf(picture: string): SVGSVGElement {
  const svg = new DOMParser().parseFromString(picture, 'image/svg+xml').documentElement as unknown as SVGSVGElement;
  // Its size is in points, too large for a page.
  for (const side of ['width', 'height']) svg.setAttribute(side, `${Number.parseFloat(svg.getAttribute(side) ?? '')}`);
  svg.setAttribute('role', 'img');
  for (const part of svg.querySelectorAll('g[id]')) part.setAttribute('data-class', part.getAttribute('class') ?? '');
  return svg;
}

/** Scrolls as little as it takes to see the whole of a part, and the page not at all. */
function reveal(part: Element | null, frame: HTMLElement | null): void {
  if (part === null || frame === null) return;
  const [seen, wanted] = [frame.getBoundingClientRect(), part.getBoundingClientRect()];
  frame.scrollBy(
    excess(wanted.left, wanted.right, seen.left, seen.left + frame.clientWidth),
    excess(wanted.top, wanted.bottom, seen.top, seen.top + frame.clientHeight),
  );
}

/** How far a range is beyond another one, in px; negative: before it. */
function excess(from: number, to: number, seenFrom: number, seenTo: number): number {
  if (from < seenFrom) return from - seenFrom - MARGIN_PX;
  return to > seenTo ? to - seenTo + MARGIN_PX : 0;
}

const MARGIN_PX = 16;
