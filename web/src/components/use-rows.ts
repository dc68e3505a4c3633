/**
 * Which rows of a long list are on the screen. Rows are as high as each other, so their places are computed; measuring
 * each, as libraries do, would cost an object a row. Browsers draw nothing beyond some ten million pixels, so only a part
 * of a longer list can be scrolled over at a time: near its ends another part takes its place.
 *
 * What is seen does not move when rows come or go above it.
 */
import type { ReadonlySignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useReducer, useRef } from 'preact/hooks';

/** How high the scrolled part is at most, in px: some ten thousand rows. */
const PART_PX = 400_000;
/** Rows that are drawn beyond what is seen, so that scrolling meets none that are missing. */
const OVERSCAN_ROWS = 8;

/** Rows that are there, or will be. */
export interface RowSource {
  /** Changes with the rows. */
  readonly version: ReadonlySignal<number>;
  readonly length: number;
  /** What names the row at a place for as long as it is there; undefined: it is not known. */
  keyAt(index: number): string | undefined;
  /** The place of a row; -1: it is gone. */
  placeOf(key: string): number;
  /** Whether rows that come above the first are to be seen; what is seen moves down then. */
  isFollowed: () => boolean;
  /** Is told which rows are seen. */
  look(from: number, to: number): void;
}

export interface Rows {
  /** The first row that is drawn, and the one behind the last. */
  from: number;
  to: number;
  /** Which row is at the beginning of the scrolled part. */
  base: number;
  /** How high the scrolled part is, in px. */
  height: number;
  /** Whether the newest row is at the top. */
  isAtTop: boolean;
  /** The first row that is seen as a whole, or nearly. */
  firstSeen: number;
  /** How high the part is that is seen, in px. */
  seenHeight: number;
  /** Whether it stands where it was scrolled to from here, not by a person. */
  isOwnPlace(): boolean;
  /** Scrolls as little as it takes for this row to be seen. */
  reveal(index: number): void;
}

/** @param headHeight what covers the top of the scrolled element, in px. */
export function useRows(
  list: RowSource,
  scroller: { current: HTMLElement | null },
  rowHeight: number,
  headHeight: number,
): Rows {
  const [, draw] = useReducer((count: number) => count + 1, 0);
  const base = useRef(0);
  const drawn = useRef<{ list: RowSource; rowHeight: number; seen: { key: string; index: number }[] }>(undefined);
  const target = useRef<number>(undefined);
  const ownTop = useRef<number>(undefined);
  // Whoever reads it is drawn again when rows have changed.
  void list.version.value;

  let top = target.current ?? scroller.current?.scrollTop ?? 0;
  const put = (px: number) => {
    top = px;
    target.current = px;
  };
  const before = drawn.current;
  if (before !== undefined && before.list !== list) {
    base.current = 0;
    put(0);
  } else if (before !== undefined && before.rowHeight !== rowHeight) {
    put((top / before.rowHeight) * rowHeight);
  } else if (before !== undefined && !(base.current === 0 && top < 1 && list.isFollowed())) {
    const stayed = before.seen.find(({ key }) => list.placeOf(key) >= 0);
    const moved = stayed === undefined ? 0 : list.placeOf(stayed.key) - stayed.index;
    if (moved !== 0) put(top + moved * rowHeight);
  }

  const partRows = Math.floor(PART_PX / rowHeight);
  const first = Math.max(0, base.current + Math.floor(top / rowHeight));
  const isNearEnd = first - base.current > partRows * 0.9 && base.current + partRows < list.length;
  const isNearBegin = base.current > 0 && first - base.current < partRows * 0.1;
  if (isNearEnd || isNearBegin) {
    const middle = Math.max(0, first - Math.floor(partRows / 2));
    put(top + (base.current - middle) * rowHeight);
    base.current = middle;
  }

  const seenHeight = Math.max(0, (scroller.current?.clientHeight ?? 0) - headHeight);
  const end = Math.min(list.length, first + Math.ceil(seenHeight / rowHeight) + 1);
  const from = Math.max(base.current, first - OVERSCAN_ROWS);
  const to = Math.min(list.length, base.current + partRows, end + OVERSCAN_ROWS);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element !== null && target.current !== undefined) {
      element.scrollTop = target.current;
      // The browser may have put it elsewhere.
      ownTop.current = element.scrollTop;
    }
    target.current = undefined;
    const seen: { key: string; index: number }[] = [];
    for (let index = first; index < end; index++) {
      const key = list.keyAt(index);
      if (key !== undefined) seen.push({ key, index });
    }
    drawn.current = { list, rowHeight, seen };
    list.look(first, end);
  });

  useEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const redraw = () => draw(undefined as never);
    const observer = new ResizeObserver(redraw);
    observer.observe(element);
    element.addEventListener('scroll', redraw, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', redraw);
    };
  }, []);

  return {
    from,
    to,
    base: base.current,
    height: Math.min(list.length - base.current, partRows) * rowHeight,
    isAtTop: base.current === 0 && top < 1,
    firstSeen: base.current + Math.ceil((top - 1) / rowHeight),
    seenHeight,
    isOwnPlace: () => scroller.current?.scrollTop === ownTop.current,
    reveal(index) {
      const element = scroller.current;
      if (element === null) return;
      const isInPart = index >= base.current && index < base.current + partRows;
      if (!isInPart) base.current = Math.max(0, index - Math.floor(partRows / 2));
      const rowTop = (index - base.current) * rowHeight;
      const bottom = rowTop + rowHeight - seenHeight;
      if (!isInPart || rowTop < element.scrollTop) target.current = rowTop;
      else if (bottom > element.scrollTop) target.current = bottom;
      else return;
      draw(undefined as never);
    },
  };
}
