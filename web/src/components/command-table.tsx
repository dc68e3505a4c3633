/** The table of commands: as many rows as fit on the screen, of a list of any length. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { LiveList } from '../commands/live-list.ts';
import type { Row } from '../commands/row.ts';
import { clearSelection, deleteSelected, select, selected, stopSelected } from '../commands/selection.ts';
import { words } from '../i18n/language.ts';
import { useKeys } from '../keys.ts';
import { isNarrow } from '../media.ts';
import { navigate, pathOfCommand } from '../router.ts';
import { hasToken } from '../session.ts';
import { CommandRow, idOfRow } from './command-row.tsx';
import { Icon } from './icon.tsx';
import { useRows } from './use-rows.ts';

/** As the styles have them, in px. */
const ROW_PX = { wide: 36, narrow: 62 };
const HEAD_PX = { wide: 32, narrow: 0 };
/** More new ones than that are many. */
const COUNTED_FRESH = 999;
/** How long after a movement of the pointer it may be about to press something, in ms. */
const POINTING_MS = 1500;

export function CommandTable({ list }: { list: LiveList }) {
  const { commands } = words.value;
  const size = isNarrow.value ? 'narrow' : 'wide';
  const scroller = useRef<HTMLDivElement>(null);
  const pointedAt = useRef(Number.NEGATIVE_INFINITY);
  const [current, setCurrent] = useState<string>();
  /** Where the last selection was made: where a range begins. */
  const origin = useRef<string>(undefined);
  list.isFollowed = () =>
    (scroller.current?.scrollTop ?? 0) < 1 &&
    current === undefined &&
    selected.value.size === 0 &&
    performance.now() - pointedAt.current > POINTING_MS;
  const rows = useRows(list, scroller, ROW_PX[size], HEAD_PX[size]);
  const { pages } = list;
  const fresh = useFresh(list, rows.isAtTop);

  const move = (by: number) => {
    const at = current === undefined ? -1 : pages.indexOf(current);
    const index = at < 0 ? rows.firstSeen : at + by;
    const row = pages.at(index);
    if (row === undefined) return;
    setCurrent(row.uuid);
    rows.reveal(index);
    scroller.current?.focus({ preventScroll: true });
  };
  const choose = (row: Row, isSelected: boolean, isRange: boolean) => {
    const begin = isRange && origin.current !== undefined ? pages.indexOf(origin.current) : -1;
    const end = pages.indexOf(row.uuid);
    const places = begin < 0 ? [end] : range(Math.min(begin, end), Math.max(begin, end));
    select(
      places.flatMap((index) => pages.at(index)?.uuid ?? []),
      isSelected,
    );
    origin.current = row.uuid;
  };
  const chooseCurrent = (isRange: boolean) => {
    const row = current === undefined ? undefined : pages.get(current);
    if (row !== undefined) choose(row, isRange || !selected.value.has(row.uuid), isRange);
  };
  const toTop = () => {
    setCurrent(undefined);
    if (list.isBehind.value) void list.reload();
    rows.reveal(0);
  };
  const toEnd = async () => {
    setCurrent(undefined);
    await list.reachEnd();
    rows.reveal(pages.length - 1);
  };
  useKeys([
    { keys: ['j', 'ArrowDown'], does: ({ keys }) => keys.next, run: () => move(1) },
    { keys: ['k', 'ArrowUp'], does: ({ keys }) => keys.previous, run: () => move(-1) },
    {
      keys: ['Enter'],
      does: ({ keys }) => keys.open,
      run: () => current !== undefined && navigate(pathOfCommand(current)),
    },
    { keys: ['x', ' '], does: ({ keys }) => keys.select, run: () => chooseCurrent(false) },
    { keys: ['X', 'Shift+ '], does: ({ keys }) => keys.selectRange, run: () => chooseCurrent(true) },
    { keys: ['s'], does: ({ keys }) => keys.stop, run: () => void stopSelected() },
    { keys: ['d', 'Delete'], does: ({ keys }) => keys.delete, run: () => void deleteSelected() },
    { keys: ['g', 'Home'], does: ({ keys }) => keys.top, run: toTop },
    { keys: ['G', 'End'], does: ({ keys }) => keys.bottom, run: () => void toEnd() },
    {
      keys: ['Escape'],
      does: ({ keys }) => keys.clear,
      run: () => {
        clearSelection();
        setCurrent(undefined);
      },
    },
  ]);

  const drawn = range(rows.from, rows.to - 1);
  const isDrawn = current !== undefined && drawn.includes(pages.indexOf(current));
  return (
    <div class="table-frame">
      {(fresh > 0 || list.isBehind.value) && (
        <button type="button" class="fresh" title={commands.toFresh} onClick={toTop}>
          <Icon name="up" />
          {list.isBehind.value || fresh > COUNTED_FRESH ? commands.manyFresh : commands.fresh(fresh)}
        </button>
      )}
      <div
        role="grid"
        // Without tokens nobody has a name.
        class={hasToken.value ? 'table named' : 'table'}
        ref={scroller}
        tabIndex={0}
        aria-label={commands.title}
        aria-multiselectable="true"
        aria-rowcount={list.total.value === undefined ? -1 : list.total.value + 1}
        aria-activedescendant={isDrawn ? idOfRow(current) : undefined}
        onPointerMove={() => {
          pointedAt.current = performance.now();
        }}
      >
        <Headings />
        <div role="rowgroup" class="rows" style={{ height: `${rows.height}px` }}>
          {drawn.map((index) => {
            const row = pages.at(index);
            if (row === undefined) return null;
            return (
              <CommandRow
                key={row.uuid}
                row={row}
                index={index}
                top={(index - rows.base) * ROW_PX[size]}
                isSelected={selected.value.has(row.uuid)}
                isCurrent={row.uuid === current}
                onSelect={choose}
                onPoint={({ uuid }) => setCurrent(uuid)}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}

function Headings() {
  const { columns } = words.value.commands;
  return (
    <div role="rowgroup" class="headings">
      <div role="row" class="row" aria-rowindex={1}>
        <div role="columnheader" class="select">
          <span class="hidden">{columns.select}</span>
        </div>
        <div role="columnheader" class="state">
          {columns.status}
        </div>
        <div role="columnheader" class="what">
          {columns.what}
        </div>
        <div role="columnheader" class="by">
          {columns.by}
        </div>
        <div role="columnheader" class="started">
          {columns.started}
        </div>
        <div role="columnheader" class="duration">
          {columns.duration}
        </div>
        <div role="columnheader" class="exit">
          {columns.exit}
        </div>
        <div role="columnheader" class="size">
          {columns.size}
        </div>
      </div>
    </div>
  );
}

/** How many have come above since the newest was seen last. */
function useFresh(list: LiveList, isAtTop: boolean): number {
  const { pages } = list;
  const newest = pages.at(0)?.createdAt ?? Number.NEGATIVE_INFINITY;
  const seen = useRef({ list, newest });
  const isNew = seen.current.list !== list || seen.current.newest === Number.NEGATIVE_INFINITY;
  const isSeen = isAtTop || isNew;
  useEffect(() => {
    if (isSeen) seen.current = { list, newest };
  }, [isSeen, list, newest]);
  if (isSeen) return 0;
  let count = 0;
  while (count <= COUNTED_FRESH && (pages.at(count)?.createdAt ?? 0) > seen.current.newest) count++;
  return count;
}

const range = (from: number, to: number) => Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
