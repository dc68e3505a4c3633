/** One row of the inspector: who sent what to whom, and what came of it; drawn as an arrow between lines, or written out. */
import { formatDuration, formatPreciseTime } from '../format.ts';
import { language } from '../i18n/language.ts';
import { shortEvent, shortName } from '../inspector/names.ts';
import { commandOf, type Message } from '../inspector/sequence.ts';
import { hasEnded, type Lines, OTHERS_LINE, OUTSIDE_LINE, type Shown } from '../inspector/view.ts';
import { words } from '../inspector/words/words.ts';

/** As the styles have them, in px. */
export const ROW_PX = { wide: 28, narrow: 50 };
/** From each line to the next, in px: where there are few and where there are many. */
const LINE_PX = { few: 112, many: 84 };
const MANY = 9;
/** How much room words take, in px. */
const LABEL_PX = 360;
/** From this line on words stand before an arrow, not behind it: there would be no room for them. */
const BEFORE_FROM = 6;
/** Over how many lines an arrow goes that words stand on. */
const LONG = 3;

export interface InspectorRowProps {
  shown: Shown;
  /** Its place in what is shown. */
  index: number;
  top: number;
  /** How long after the row before it, in ms; undefined where that can't be known. */
  since: number | undefined;
  /** How far it is from each line to the next, in px; undefined: it is written out. */
  pitch: number | undefined;
  isCurrent: boolean;
  /** How much is told of it: who is drawn knows no other way that there is more. */
  told: number;
  onPoint: (place: number) => void;
}

export const idOfRow = (place: number) => `message-${place}`;

/** How far it is from each of so many lines to the next, in px. */
export const pitchOf = (lines: number) => (lines < MANY ? LINE_PX.few : LINE_PX.many);

/** How wide so many lines are with the words beside them, in px. */
export const widthOf = (lines: number, pitch: number) =>
  Math.max(lines * pitch, Math.min(lines, BEFORE_FROM + LONG - 1) * pitch + LABEL_PX);

export function InspectorRow({ shown, index, top, since, pitch, isCurrent, told, onPoint }: InspectorRowProps) {
  const { row } = shown;
  const isGap = row.kind === 'gap';
  return (
    <div
      role="row"
      id={idOfRow(row.place)}
      class={`message${isCurrent ? ' current' : ''}${isGap ? ' gap' : ''}`}
      // The first row is that of the headings.
      aria-rowindex={index + 2}
      aria-selected={isCurrent}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => onPoint(row.place)}
      onKeyDown={() => {}}
    >
      {isGap ? (
        <div role="gridcell" title={words.value.gap}>
          {words.value.gap}
        </div>
      ) : (
        <>
          <Time at={row.at} since={since} />
          {pitch === undefined ? (
            <InWords message={row} told={told} />
          ) : (
            <Arrow shown={shown} message={row} pitch={pitch} told={told} />
          )}
        </>
      )}
    </div>
  );
}

function Time({ at, since }: { at: number; since: number | undefined }) {
  return (
    <>
      <div role="gridcell" class="time">
        {formatPreciseTime(at, language.value)}
      </div>
      <div role="gridcell" class="since">
        {since !== undefined && `+${formatDuration(since, language.value)}`}
      </div>
    </>
  );
}

/** Who sent it; of one that changed without an event that is known, nobody is. */
export function senderOf({ from, kind }: Message): string {
  if (from !== undefined) return shortName(from.name);
  return kind === 'event' ? words.value.outside : '';
}

export function eventOf({ event, kind, told }: Message): string {
  if (kind !== 'actor') return shortEvent(event ?? '');
  return told.length > 1 ? words.value.created : words.value.lives;
}

/** What came of it; nothing where all stayed as it was. */
function stateOf({ before, after, end }: Message): string {
  const hasChanged = after !== undefined && after !== null && after !== before;
  const changed = hasChanged ? [before, after].filter((state) => state !== null).join(' → ') : '';
  return [changed, end && words.value.ended[end]].filter(Boolean).join(', ');
}

/** Whether it is of XState's own, and no more than how actors begin and end; its timers are what machines wait for. */
const isOfXState = ({ event, kind }: Message) => kind === 'actor' || /^xstate\.(?!after\.)/.test(event ?? '');

function InWords({ message }: { message: Message; told: number }) {
  return (
    <>
      <div role="gridcell" class="from">
        {senderOf(message)}
      </div>
      <div role="gridcell" class="to">
        {shortName(message.to.name)}
      </div>
      <div role="gridcell" class={isOfXState(message) ? 'event muted' : 'event'}>
        {eventOf(message)}
      </div>
      <div role="gridcell" class="state">
        {stateOf(message)}
      </div>
    </>
  );
}

interface ArrowProps {
  shown: Shown;
  message: Message;
  pitch: number;
  told: number;
}

function Arrow({ shown: { lines, from, to }, message, pitch }: ArrowProps) {
  const { path } = words.value;
  const state = stateOf(message);
  const middles = lines.map((_, line) => (line + 0.5) * pitch);
  // Whose column is that of many has to be named.
  const unseen = to === OTHERS_LINE ? message.to : from === OTHERS_LINE ? message.from : undefined;
  const [source = 0, target = 0] = [middles[from], middles[to]];
  return (
    <div role="gridcell" class="arrow">
      <svg width={lines.length * pitch} height={ROW_PX.wide} aria-hidden="true">
        <path class="lines" d={middles.map((x, line) => lineAt(x, line, lines, message)).join('')} />
        <path class={message.kind === 'actor' ? 'shaft making' : 'shaft'} d={shaftOf(source, target)} />
        <path class="head" d={headOf(source, target)} />
        {message.end !== undefined && lines[to] === message.to && <path class="end" d={crossAt(target)} />}
      </svg>
      <span class="label" style={{ transform: `translateX(${labelAt(from, to, source, target)})` }}>
        <span class="hidden">{path(senderOf(message), shortName(message.to.name))}: </span>
        {unseen !== undefined && <span>{shortName((commandOf(unseen) ?? unseen).name)} </span>}
        <span class={isOfXState(message) ? 'muted' : 'event'}>{eventOf(message)}</span>
        {state !== '' && (
          <>
            {' '}
            <span class="state">{state}</span>
          </>
        )}
      </span>
    </div>
  );
}

const MIDDLE = ROW_PX.wide / 2;

/** Where words are seen without scrolling: on a long arrow, else beside it. */
function labelAt(from: number, to: number, source: number, target: number): string {
  const first = Math.min(source, target);
  if (Math.abs(from - to) >= LONG) return `${first + 14}px`;
  if (Math.min(from, to) >= BEFORE_FROM) return `calc(${first - 10}px - 100%)`;
  return `${Math.max(source, target) + (from === to ? 30 : 10)}px`;
}

/** The line of one who lives at this row; of one that is created here from here on. */
function lineAt(x: number, line: number, lines: Lines, { place, kind, to, told }: Message): string {
  const holder = lines[line];
  const isShared = line === OUTSIDE_LINE || line === OTHERS_LINE;
  if (!isShared && (holder === undefined || hasEnded(holder, place))) return '';
  const begins = kind === 'actor' && holder === to && told.length > 1;
  return `M${x} ${begins ? MIDDLE : 0}V${ROW_PX.wide}`;
}

function shaftOf(source: number, target: number): string {
  if (source === target) return `M${source} 8h20v12h-14`;
  return `M${source} ${MIDDLE}H${target + (source < target ? -6 : 6)}`;
}

function headOf(source: number, target: number): string {
  if (source === target) return `M${target} 20l8-4v8z`;
  return source < target ? `M${target} ${MIDDLE}l-9-4.5v9z` : `M${target} ${MIDDLE}l9-4.5v9z`;
}

const crossAt = (x: number) => `M${x - 5} ${MIDDLE - 5}l10 10m0-10l-10 10`;
