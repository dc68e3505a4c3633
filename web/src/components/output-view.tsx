/** What a command prints, as it comes: followed while one looks at its end, left alone while one reads or searches. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { words } from '../i18n/language.ts';
import { useKeys } from '../keys.ts';
import type { LiveCommand } from '../output/live-command.ts';
import { OutputRows } from '../output/rows.ts';
import { findLines } from '../output/search.ts';
import { OutputLine } from './output-line.tsx';
import { useFollowing } from './use-following.ts';
import { useRows } from './use-rows.ts';

/** As the styles have it, in px. */
const LINE_PX = 20;
/** How long a person pauses before what he types is searched for, in ms. */
const TYPING_MS = 200;

export function OutputView({ live, onDownload }: { live: LiveCommand; onDownload: () => void }) {
  const { output } = words.value;
  const scroller = useRef<HTMLDivElement>(null);
  const search = useSearch(live);
  const [isWrapped, setWrapped] = useState(false);
  const source = useMemo(() => new OutputRows(live.lines, live.version), [live]);
  source.columns = isWrapped ? columnsOf(scroller.current) : Number.POSITIVE_INFINITY;
  const rows = useRows(source, scroller, LINE_PX, 0);
  const { length } = source;

  const { isFollowing, setFollowing, goTo, onScroll } = useFollowing(rows, length, length, LINE_PX);
  const find = (by: 1 | -1) => {
    const index = search.move(by);
    if (index !== undefined) goTo(source.rowOf(index));
  };
  const input = useRef<HTMLInputElement>(null);
  useKeys([
    { keys: ['f'], does: ({ keys }) => keys.follow, run: () => setFollowing(!isFollowing) },
    { keys: ['g', 'Home'], does: ({ keys }) => keys.first, run: () => goTo(0) },
    { keys: ['G', 'End'], does: ({ keys }) => keys.last, run: () => goTo(length - 1) },
    { keys: ['w'], does: ({ keys }) => keys.wrap, run: () => setWrapped(!isWrapped) },
    { keys: ['/'], does: ({ keys }) => keys.search, run: () => input.current?.focus() },
    { keys: ['m'], does: ({ keys }) => keys.nextFind, run: () => find(1) },
    { keys: ['M'], does: ({ keys }) => keys.previousFind, run: () => find(-1) },
  ]);

  return (
    <section class="output" aria-label={output.title}>
      <div class="toolbar">
        <button type="button" class="chip" aria-pressed={isFollowing} onClick={() => setFollowing(!isFollowing)}>
          {output.follow}
        </button>
        <button type="button" class="chip" aria-pressed={isWrapped} onClick={() => setWrapped(!isWrapped)}>
          {output.wrap}
        </button>
        <button type="button" class="chip" onClick={() => goTo(0)} disabled={length === 0}>
          {output.first}
        </button>
        <button type="button" class="chip" onClick={() => goTo(length - 1)} disabled={length === 0}>
          {output.last}
        </button>
        <input
          ref={input}
          type="search"
          class="find"
          aria-label={output.search}
          placeholder={output.search}
          onInput={({ currentTarget }) => search.look(currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter') find(event.shiftKey ? -1 : 1);
          }}
        />
        <span role="status" class="muted">
          {search.text !== '' && output.found(search.found.length)}
        </span>
        <span class="total muted">{output.lines(live.lines.length)}</span>
        <button type="button" class="chip" onClick={onDownload}>
          {output.download}
        </button>
      </div>
      <div
        ref={scroller}
        class="lines"
        role="log"
        aria-live="off"
        aria-label={output.title}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it is scrolled by keys
        tabIndex={0}
        onScroll={onScroll}
      >
        <div class="rows" style={{ height: `${rows.height}px` }}>
          {Array.from({ length: Math.max(0, rows.to - rows.from) }, (_, i) => rows.from + i).map((index) => (
            <OutputLine
              key={index}
              {...lineAt(source, index)}
              spans={source.spansAt(index)}
              top={(index - rows.base) * LINE_PX}
              isFound={source.at(index).line === search.current}
            />
          ))}
        </div>
      </div>
    </section>
  );
}

/** The number of a line stands at its first row. */
function lineAt(source: OutputRows, index: number): { number: number | undefined } {
  const { line, part } = source.at(index);
  return { number: part === 0 ? line + 1 : undefined };
}

/** How many characters fit into a row. */
function columnsOf(element: HTMLElement | null): number {
  const line = element?.querySelector('.line');
  const context = document.createElement('canvas').getContext('2d');
  if (element === null || line == null || context === null) return Number.POSITIVE_INFINITY;
  context.font = getComputedStyle(line).font;
  const gutter = [...line.children].slice(0, 2).reduce((sum, part) => sum + part.getBoundingClientRect().width, 0);
  const width = element.clientWidth - gutter - Number.parseFloat(getComputedStyle(line).paddingRight);
  return Math.max(10, Math.floor(width / context.measureText('0').width));
}

/** What is searched for, and where it was found. */
function useSearch(live: LiveCommand) {
  const [text, setText] = useState('');
  const [found, setFound] = useState<number[]>([]);
  const [at, setAt] = useState(-1);
  const pause = useRef<number>(undefined);
  const looking = useRef(new AbortController());
  const cease = () => {
    clearTimeout(pause.current);
    looking.current.abort();
  };
  useEffect(() => cease, []);
  const find = async (wanted: string) => {
    const { signal } = looking.current;
    const lines = await findLines(live.lines, wanted, signal);
    if (lines === undefined || signal.aborted) return;
    setText(wanted);
    setFound(lines);
    setAt(-1);
  };
  return {
    text,
    found,
    current: found[at],
    look(wanted: string) {
      cease();
      looking.current = new AbortController();
      pause.current = window.setTimeout(() => void find(wanted), TYPING_MS);
    },
    /** @returns the line of the next find, or of the one before. */
    move(by: 1 | -1): number | undefined {
      if (found.length === 0) return undefined;
      const next = (at + by + found.length + (at < 0 && by < 0 ? 1 : 0)) % found.length;
      setAt(next);
      return found[next];
    },
  };
}
