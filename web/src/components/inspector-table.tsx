/** What the actors say to each other, row by row: followed while one looks at its end, left alone while one reads. */
import { useRef } from 'preact/hooks';
import { OUTSIDE } from '../inspector/filter.ts';
import { shortName } from '../inspector/names.ts';
import { commandOf, type Message, type Participant } from '../inspector/sequence.ts';
import { OTHERS_LINE, OUTSIDE_LINE, type SequenceView } from '../inspector/view.ts';
import { words } from '../inspector/words/words.ts';
import { useKeys } from '../keys.ts';
import { isNarrow } from '../media.ts';
import { InspectorRow, idOfRow, pitchOf, ROW_PX, widthOf } from './inspector-row.tsx';
import { useFollowing } from './use-following.ts';
import { useRows } from './use-rows.ts';

/** As the styles have it, in px. */
const HEAD_PX = 34;
/** The widths of the times before the diagram, in px. */
const TIMES_PX = { wide: 190, narrow: 108 };

export interface InspectorTableProps {
  view: SequenceView;
  isDiagram: boolean;
  /** The place of the row that is selected. */
  selected: number | undefined;
  onSelect: (place: number | undefined) => void;
  /** Wants to see one actor alone, or a command with its parts. */
  onOnly: (name: string) => void;
}

export function InspectorTable({ view, isDiagram, selected, onSelect, onOnly }: InspectorTableProps) {
  const { title } = words.value;
  const size = isNarrow.value ? 'narrow' : 'wide';
  const rowHeight = isDiagram ? ROW_PX.wide : ROW_PX[size];
  const headHeight = isDiagram || size === 'wide' ? HEAD_PX : 0;
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useRows(view, scroller, rowHeight, headHeight);
  const { length } = view;
  const following = useFollowing(rows, length, view.keyAt(length - 1), rowHeight, headHeight);

  const select = (index: number) => {
    const place = view.rows[index]?.row.place;
    if (place === undefined) return;
    onSelect(place);
    following.goTo(index);
    scroller.current?.focus({ preventScroll: true });
  };
  const move = (by: number) => {
    const at = selected === undefined ? -1 : view.indexOf(selected);
    select(at < 0 ? Math.min(rows.firstSeen, length - 1) : at + by);
  };
  const only = () => {
    const row = view.rows[selected === undefined ? -1 : view.indexOf(selected)]?.row;
    if (row !== undefined && row.kind !== 'gap') onOnly(subjectOf(row));
  };
  useKeys([
    { keys: ['j', 'ArrowDown'], does: () => words.value.keys.next, run: () => move(1) },
    { keys: ['k', 'ArrowUp'], does: () => words.value.keys.previous, run: () => move(-1) },
    { keys: ['g', 'Home'], does: () => words.value.keys.first, run: () => following.goTo(0) },
    { keys: ['G', 'End'], does: () => words.value.keys.last, run: () => following.goTo(length - 1) },
    { keys: ['f'], does: () => words.value.keys.follow, run: () => following.setFollowing(!following.isFollowing) },
    { keys: ['Enter'], does: () => words.value.keys.only, run: only },
    { keys: ['Escape'], does: () => words.value.keys.unselect, run: () => onSelect(undefined) },
  ]);

  const drawn = view.rows.slice(rows.from, rows.to);
  const lines = view.rows.at(-1)?.lines.length ?? 1;
  const pitch = isDiagram ? pitchOf(lines) : undefined;
  const minWidth = pitch === undefined ? 'auto' : `${TIMES_PX[size] + widthOf(lines, pitch)}px`;
  const isDrawn = drawn.some(({ row }) => row.place === selected);
  return (
    <div
      role="grid"
      class={isDiagram ? 'messages diagram' : 'messages'}
      ref={scroller}
      tabIndex={0}
      aria-label={title}
      aria-rowcount={length + 1}
      aria-activedescendant={isDrawn && selected !== undefined ? idOfRow(selected) : undefined}
      onScroll={following.onScroll}
    >
      <div role="rowgroup" class="headings" style={{ minWidth }}>
        {pitch === undefined ? (
          <Headings />
        ) : (
          <LineHeadings holders={holdersOf(view, rows)} pitch={pitch} onOnly={onOnly} />
        )}
      </div>
      <div role="rowgroup" class="rows" style={{ height: `${rows.height}px`, minWidth }}>
        {drawn.map((shown, i) => {
          const index = rows.from + i;
          const { row } = shown;
          return (
            <InspectorRow
              key={row.place}
              shown={shown}
              index={index}
              top={(index - rows.base) * rowHeight}
              since={sinceLast(view, index)}
              pitch={pitch}
              isCurrent={row.place === selected}
              told={row.kind === 'gap' ? 0 : row.told.length}
              onPoint={(place) => {
                onSelect(place);
                following.setFollowing(false);
              }}
            />
          );
        })}
      </div>
    </div>
  );
}

/** Whom a row is about: a command rather than the supervisor. */
export function subjectOf({ to, from }: Message): string {
  const command = commandOf(to) ?? (from === undefined ? undefined : commandOf(from));
  return (command ?? to).name;
}

function sinceLast(view: SequenceView, index: number): number | undefined {
  const [before, row] = [view.rows[index - 1]?.row, view.rows[index]?.row];
  if (before === undefined || row === undefined || before.kind === 'gap' || row.kind === 'gap') return undefined;
  return Math.max(0, row.at - before.at);
}

/** Who has each line of those that are seen: the last one of them. */
function holdersOf(view: SequenceView, { firstSeen, to }: { firstSeen: number; to: number }) {
  const holders: (Participant | undefined)[] = [];
  let lines: unknown;
  for (const shown of view.rows.slice(firstSeen, to).reverse()) {
    if (shown.lines === lines) continue;
    lines = shown.lines;
    for (const [line, holder] of shown.lines.entries()) holders[line] ??= holder;
  }
  return holders;
}

interface LineHeadingsProps {
  holders: readonly (Participant | undefined)[];
  pitch: number;
  onOnly: (name: string) => void;
}

function LineHeadings({ holders, pitch, onOnly }: LineHeadingsProps) {
  const { columns, outside, others, only } = words.value;
  return (
    <div role="row" class="message" aria-rowindex={1}>
      <div role="columnheader" class="time">
        {columns.time}
      </div>
      <div role="columnheader" class="since">
        {columns.since}
      </div>
      <div role="columnheader" class="arrow">
        <span class="hidden">{columns.event}</span>
        {Array.from(holders, (holder, line) => {
          const style = { width: `${pitch}px`, transform: `translateX(${line * pitch}px)` };
          if (line === OTHERS_LINE) {
            return (
              <span key={line} class="holder" style={style}>
                {others}
              </span>
            );
          }
          if (holder === undefined && line !== OUTSIDE_LINE) return null;
          const name = holder === undefined ? outside : shortName(holder.name);
          const target = holder === undefined ? OUTSIDE : (commandOf(holder) ?? holder).name;
          return (
            <button
              key={line}
              type="button"
              class="quiet holder"
              style={style}
              title={only(holder?.name ?? outside)}
              onClick={() => onOnly(target)}
            >
              {name}
            </button>
          );
        })}
      </div>
    </div>
  );
}

function Headings() {
  const { columns } = words.value;
  return (
    <div role="row" class="message" aria-rowindex={1}>
      {(['time', 'since', 'from', 'to', 'event', 'state'] as const).map((name) => (
        <div key={name} role="columnheader" class={name}>
          {columns[name]}
        </div>
      ))}
    </div>
  );
}
