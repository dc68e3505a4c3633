/** What the actors of the server say to each other, live, for those who debug it. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { Refused } from '../../../src/client/index.ts';
import { InspectorDetails } from '../components/inspector-details.tsx';
import { InspectorTable } from '../components/inspector-table.tsx';
import { Problem } from '../components/problem.tsx';
import { ndjsonOf } from '../inspector/export.ts';
import { addressOf, type Filter, filterOf } from '../inspector/filter.ts';
import { LiveInspector } from '../inspector/live-inspector.ts';
import { SequenceView } from '../inspector/view.ts';
import { words } from '../inspector/words/words.ts';
import { useKeys } from '../keys.ts';
import { isNarrow } from '../media.ts';
import { navigate, search } from '../router.ts';
import { client } from '../session.ts';
import { stored } from '../stored.ts';
import '../styles/inspector.css';

const LOOKS = ['diagram', 'list'] as const;
/** A diagram is wide. */
const look = stored(localStorage, 'inspector', LOOKS, isNarrow.value ? 'list' : 'diagram');

/** Changes the filter as it is by then: a person may be quicker than the page is drawn. */
function setFilter(change: Partial<Filter>): void {
  navigate(addressOf({ ...filterOf(search.value), ...change }), { replaces: true });
}

/** One can go back from what one has chosen to see alone, but not over each letter that one has typed. */
const showOnly = (of: string) => navigate(addressOf({ ...filterOf(search.value), of }));

export function InspectorScreen() {
  const server = client.value;
  const live = useMemo(() => new LiveInspector(server), [server]);
  useEffect(() => () => live.stop(), [live]);
  const failure = live.failure.value;
  if (failure === undefined) return <Inspector live={live} />;
  if (failure instanceof Refused && failure.code === 'INSPECTION_OFF') return <Off />;
  if (failure instanceof Refused && failure.code === 'SCOPE_MISSING')
    return <Sentence>{words.value.forbidden}</Sentence>;
  return <Problem error={failure} onRetry={() => location.reload()} />;
}

function Off() {
  const { off } = words.value;
  return (
    <section class="centred" role="alert">
      <h1>{off.title}</h1>
      <p>{off.why}</p>
      <pre>SHELLVISOR_INSPECT=1 npm start</pre>
    </section>
  );
}

function Sentence({ children }: { children: string }) {
  return (
    <section class="centred" role="alert">
      <p>{children}</p>
    </section>
  );
}

function Inspector({ live }: { live: LiveInspector }) {
  const own = words.value;
  const { of, event } = filterOf(search.value);
  const clearings = live.clearings.value;
  const view = useMemo(() => new SequenceView({ of, event }, live.version), [live, of, event, clearings]);
  // Whoever reads it is drawn again when something has come.
  void live.version.value;
  const pausedAt = live.pausedAt.value;
  view.update(live.sequence, pausedAt);
  const [selected, setSelected] = useState<number>();
  const row = view.rows[selected === undefined ? -1 : view.indexOf(selected)]?.row;
  const message = row?.kind === 'gap' ? undefined : row;
  const isDiagram = look.value === 'diagram';
  return (
    <div class="inspector">
      <h1 class="hidden">{own.title}</h1>
      <Tools live={live} view={view} />
      <div class={message === undefined ? 'panes' : 'panes two'}>
        {view.length === 0 && (
          <p class="nothing muted" role="status">
            {view.filter.of === '' && view.filter.event === '' ? own.empty : own.nothingFound}
          </p>
        )}
        <InspectorTable
          view={view}
          isDiagram={isDiagram}
          selected={selected}
          onSelect={setSelected}
          onOnly={showOnly}
        />
        {message !== undefined && (
          <InspectorDetails
            // What is told of it later is shown, too.
            key={`${message.place} ${message.told.length}`}
            message={message}
            onOnly={showOnly}
            onClose={() => setSelected(undefined)}
          />
        )}
      </div>
    </div>
  );
}

function Tools({ live, view }: { live: LiveInspector; view: SequenceView }) {
  const own = words.value;
  const { of, event } = view.filter;
  // As much as there is to be saved.
  void live.version.value;
  const ofField = useRef<HTMLInputElement>(null);
  const eventField = useRef<HTMLInputElement>(null);
  const isPaused = live.pausedAt.value !== undefined;
  const pause = () => live.pause(!isPaused);
  const clear = () => live.clear();
  const save = () => download(view);
  const showAll = () => navigate(addressOf({}));
  const switchLook = () => {
    look.value = look.value === 'diagram' ? 'list' : 'diagram';
  };
  useKeys([
    { keys: ['p', ' '], does: () => words.value.keys.pause, run: pause },
    { keys: ['v'], does: () => words.value.keys.view, run: switchLook },
    { keys: ['/'], does: () => words.value.keys.find, run: () => eventField.current?.focus() },
    { keys: ['o'], does: () => words.value.keys.findActor, run: () => ofField.current?.focus() },
    { keys: ['a'], does: () => words.value.keys.all, run: showAll },
    { keys: ['x'], does: () => words.value.keys.clear, run: clear },
    { keys: ['e'], does: () => words.value.keys.export, run: save },
  ]);
  return (
    <div class="toolbar">
      <button type="button" class="chip" aria-pressed={isPaused} onClick={pause}>
        {own.pause}
      </button>
      <fieldset class="chips">
        <legend class="hidden">{own.view}</legend>
        {LOOKS.map((each) => (
          <button
            key={each}
            type="button"
            class="chip"
            aria-pressed={look.value === each}
            onClick={() => {
              look.value = each;
            }}
          >
            {own.views[each]}
          </button>
        ))}
      </fieldset>
      <Field input={ofField} label={own.actor} value={of} onChange={(text) => setFilter({ of: text })} />
      <Field input={eventField} label={own.event} value={event} onChange={(text) => setFilter({ event: text })} />
      {(of !== '' || event !== '') && (
        <button type="button" class="chip" onClick={showAll}>
          {own.all}
        </button>
      )}
      <button type="button" class="chip" onClick={clear}>
        {own.clear}
      </button>
      <button type="button" class="chip" disabled={view.length === 0} onClick={save}>
        {own.export}
      </button>
      <Standing live={live} view={view} />
    </div>
  );
}

interface FieldProps {
  input: { current: HTMLInputElement | null };
  label: string;
  value: string;
  onChange: (text: string) => void;
}

function Field({ input, label, value, onChange }: FieldProps) {
  return (
    <input
      ref={input}
      type="search"
      class="find"
      aria-label={label}
      placeholder={label}
      value={value}
      onInput={({ currentTarget }) => onChange(currentTarget.value)}
    />
  );
}

/** Whether what is seen is all, and is what is. */
function Standing({ live, view }: { live: LiveInspector; view: SequenceView }) {
  const { count, more, dropped, connecting, broken } = words.value;
  const { sequence, isConnected, pausedAt, version } = live;
  void version.value;
  const waiting = pausedAt.value === undefined ? 0 : sequence.next - pausedAt.value;
  return (
    <>
      <span role="status" class="problem">
        {isConnected.value === false ? broken : isConnected.value === undefined && connecting}
      </span>
      <span class="total muted">
        {[count(view.length), waiting > 0 && more(waiting), sequence.dropped > 0 && dropped(sequence.dropped)]
          .filter(Boolean)
          .join(', ')}
      </span>
    </>
  );
}

/** Saves what is shown. */
function download(view: SequenceView): void {
  const lines = new Blob([ndjsonOf(view.rows.map(({ row }) => row))], { type: 'application/x-ndjson' });
  const url = URL.createObjectURL(lines);
  const link = document.createElement('a');
  link.href = url;
  link.download = 'inspection.ndjson';
  link.click();
  URL.revokeObjectURL(url);
}
