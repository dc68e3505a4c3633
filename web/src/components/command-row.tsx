/** One row of the table of commands. */
import { now } from '../clock.ts';
import { isAlive, type Row } from '../commands/row.ts';
import { formatBytes, formatDuration, formatFullTime, formatTime } from '../format.ts';
import { words } from '../i18n/language.ts';
import { pathOfCommand } from '../router.ts';
import { Icon } from './icon.tsx';
import { Status } from './status.tsx';

export interface CommandRowProps {
  row: Row;
  /** Its place in the list. */
  index: number;
  top: number;
  isSelected: boolean;
  isCurrent: boolean;
  /** @param isRange whether all from the row before up to this one are meant. */
  onSelect: (row: Row, isSelected: boolean, isRange: boolean) => void;
  onPoint: (row: Row) => void;
}

export const idOfRow = (uuid: string) => `row-${uuid}`;

export function CommandRow({ row, index, top, isSelected, isCurrent, onSelect, onPoint }: CommandRowProps) {
  const { commands, bytes, locale } = words.value;
  const name = row.description || row.firstLine || row.uuid;
  return (
    <div
      role="row"
      id={idOfRow(row.uuid)}
      class={isCurrent ? 'row current' : 'row'}
      // The first row is that of the headings.
      aria-rowindex={index + 2}
      aria-selected={isSelected}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => onPoint(row)}
      onKeyDown={() => {}}
    >
      <div role="gridcell" class="select">
        <input
          type="checkbox"
          tabindex={-1}
          checked={isSelected}
          aria-label={commands.selectRow(name)}
          onClick={(event) => {
            event.stopPropagation();
            onSelect(row, event.currentTarget.checked, event.shiftKey);
          }}
        />
      </div>
      <div role="gridcell" class="state">
        <Status status={row.status} percent={row.percent} />
      </div>
      <div role="gridcell" class="what">
        <a href={pathOfCommand(row.uuid)} data-screen tabindex={-1} title={name}>
          {row.pinned && <Icon name="pin" />}
          {row.description !== '' && <span class="description">{row.description}</span>}
          <code>{row.firstLine}</code>
        </a>
      </div>
      <div role="gridcell" class="by">
        {row.createdBy}
      </div>
      <div
        role="gridcell"
        class="started"
        title={row.startedAt === null ? undefined : formatFullTime(row.startedAt, locale)}
      >
        {row.startedAt === null ? isAlive(row) && commands.waiting : formatTime(row.startedAt, locale)}
      </div>
      <div role="gridcell" class="duration">
        <Duration row={row} />
      </div>
      <div role="gridcell" class="exit">
        <Exit row={row} />
      </div>
      <div role="gridcell" class="size">
        {row.outputBytes > 0 && formatBytes(row.outputBytes, locale, bytes)}
      </div>
    </div>
  );
}

function Duration({ row: { status, startedAt, durationMs } }: { row: Row }) {
  const { locale } = words.value;
  if (durationMs !== null) return <>{formatDuration(durationMs, locale)}</>;
  if (status !== 'EXECUTING' || startedAt === null) return null;
  return <>{formatDuration(Math.max(0, Math.floor((now.value - startedAt) / 1000) * 1000), locale)}</>;
}

/** What it ended with; where it did not end by itself, why. */
function Exit({ row: { exitCode, signal, reason } }: { row: Row }) {
  if (reason === null) return null;
  const end = exitCode ?? signal ?? '';
  if (reason === 'exit' || reason === 'signal') return <>{end}</>;
  const why = words.value.reasons[reason];
  return <span title={`${why} ${end}`}>{why}</span>;
}
