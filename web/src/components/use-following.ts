/** Whether one looks at the end of rows that come: it stays in sight until one scrolls away from it, or says so. */
import { useLayoutEffect, useState } from 'preact/hooks';
import type { Rows } from './use-rows.ts';

export interface Following {
  isFollowing: boolean;
  setFollowing(isFollowing: boolean): void;
  /** Shows the row at a place; whoever goes to the last one wants to see what comes. */
  goTo(index: number): void;
  onScroll(event: { currentTarget: HTMLElement }): void;
}

/** @param last changes with the last row. @param headHeight what covers the top of the scrolled element, in px. */
export function useFollowing(
  rows: Rows,
  length: number,
  last: number | string | undefined,
  rowHeight: number,
  headHeight = 0,
): Following {
  const [isFollowing, setFollowing] = useState(true);
  useLayoutEffect(() => {
    if (isFollowing && length > 0) rows.reveal(length - 1);
  }, [isFollowing, last, rows.seenHeight]);
  return {
    isFollowing,
    setFollowing,
    goTo(index) {
      setFollowing(index === length - 1);
      rows.reveal(index);
    },
    onScroll({ currentTarget: { scrollTop, clientHeight } }) {
      const isAtEnd = rows.base + (scrollTop + clientHeight - headHeight) / rowHeight > length - 1;
      if (isAtEnd) setFollowing(true);
      // Told of it is also what we have scrolled ourselves, and late: by then the window may be lower.
      else if (!rows.isOwnPlace()) setFollowing(false);
    },
  };
}
