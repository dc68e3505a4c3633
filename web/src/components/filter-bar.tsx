/** Sets the filters, which are in the address: so they can be kept, sent and gone back to. */
import { useEffect, useRef } from 'preact/hooks';
import { REASONS, STATUSES } from '../../../src/command.ts';
import { deleteMatching } from '../commands/delete-matching.ts';
import {
  addressOf,
  type Filters,
  filtersOf,
  labelsOf,
  queryOf,
  SEARCH_MIN,
  statusesOf,
  withFilter,
  withLabels,
  withStatus,
} from '../commands/filters.ts';
import { words } from '../i18n/language.ts';
import { useKeys } from '../keys.ts';
import { navigate, search } from '../router.ts';
import { Icon } from './icon.tsx';
import { Status } from './status.tsx';
import { useDraft } from './use-draft.ts';

/** How long a person pauses before what he types is searched for, in ms. */
const TYPING_MS = 250;

type Change = (filters: Filters) => Filters;

/** Changes the filters as they are by then: a person may be quicker than the page is drawn. */
function change(by: Change, replaces = false): void {
  navigate(addressOf(by(filtersOf(search.value))), { replaces });
}

/** @param total how many commands there are with these filters. */
export function FilterBar({ filters, total }: { filters: Filters; total: number | undefined }) {
  const { filters: own, bulk, commands } = words.value;
  const isFiltered = Object.keys(filters).length > 0;
  const query = queryOf(filters);
  return (
    <search class="filters" aria-label={own.label}>
      <SearchField text={filters.q ?? ''} onSearch={(q) => change((before) => withFilter(before, 'q', q), true)} />
      <fieldset class="chips">
        <legend class="hidden">{own.statuses}</legend>
        {STATUSES.map((status) => (
          <button
            key={status}
            type="button"
            class="chip"
            aria-pressed={statusesOf(filters).includes(status)}
            onClick={() => change((before) => withStatus(before, status))}
          >
            <Status status={status} />
          </button>
        ))}
      </fieldset>
      <details class="more">
        <summary>{own.more}</summary>
        <MoreFilters filters={filters} />
      </details>
      {isFiltered && (
        <button type="button" class="quiet" onClick={() => change(() => ({}))}>
          {own.clear}
        </button>
      )}
      {Object.keys(query).length > 0 && (total ?? 0) > 0 && (
        <button type="button" class="quiet" onClick={() => void deleteMatching(query)}>
          {bulk.deleteMatching}
        </button>
      )}
      <span class="total muted" role="status">
        {total !== undefined && commands.count(total)}
      </span>
    </search>
  );
}

function SearchField({ text, onSearch }: { text: string; onSearch: (text: string) => void }) {
  const { filters } = words.value;
  const input = useRef<HTMLInputElement>(null);
  const pause = useRef<number>(undefined);
  useKeys([
    {
      keys: ['/'],
      does: ({ keys }) => keys.search,
      run: () => input.current?.focus(),
    },
  ]);
  useEffect(() => () => clearTimeout(pause.current), []);
  const draft = useDraft(text, onSearch);
  const isShort = text !== '' && [...text].length < SEARCH_MIN;
  return (
    <div class="search">
      <Icon name="search" />
      <input
        ref={input}
        type="search"
        value={draft.text}
        maxLength={200}
        placeholder={filters.search}
        aria-label={filters.search}
        aria-describedby="search-hint"
        onInput={({ currentTarget: { value } }) => {
          draft.type(value);
          clearTimeout(pause.current);
          pause.current = window.setTimeout(() => draft.commit(value), TYPING_MS);
        }}
      />
      <span id="search-hint" class="hint" role="status">
        {isShort && filters.searchShort}
      </span>
    </div>
  );
}

function MoreFilters({ filters }: { filters: Filters }) {
  const { filters: own, reasons } = words.value;
  const set = (name: string) => (value: string) => change((before) => withFilter(before, name, value));
  const flags = { true: own.yes, false: own.no };
  return (
    <div class="fields">
      <Choice label={own.reason} value={filters.reason} onChange={set('reason')} values={REASONS} names={reasons} />
      <Choice
        label={own.durable}
        value={filters.durable}
        onChange={set('durable')}
        values={FLAGS}
        names={own.durables}
      />
      <Choice label={own.pinned} value={filters.pinned} onChange={set('pinned')} values={FLAGS} names={flags} />
      <Field label={own.exitCode} type="number" value={filters.exit_code} onChange={set('exit_code')} />
      <Field
        label={own.labels}
        hint={own.labelHint}
        value={labelsOf(filters)}
        onChange={(text) => change((before) => withLabels(before, text))}
      />
      <Field label={own.by} value={filters.created_by} onChange={set('created_by')} />
      <Time label={own.after} value={filters.created_after} onChange={set('created_after')} />
      <Time label={own.before} value={filters.created_before} onChange={set('created_before')} />
    </div>
  );
}

const FLAGS = ['true', 'false'] as const;

interface ChoiceProps<Value extends string> {
  label: string;
  value: string | undefined;
  values: readonly Value[];
  names: Record<Value, string>;
  onChange: (value: string) => void;
}

function Choice<Value extends string>({ label, value = '', values, names, onChange }: ChoiceProps<Value>) {
  return (
    <label>
      {label}
      <select value={value} onChange={({ currentTarget }) => onChange(currentTarget.value)}>
        <option value="">{words.value.filters.any}</option>
        {values.map((each) => (
          <option key={each} value={each}>
            {names[each]}
          </option>
        ))}
      </select>
    </label>
  );
}

interface FieldProps {
  label: string;
  hint?: string;
  type?: 'text' | 'number' | 'datetime-local';
  value: string | undefined;
  onChange: (value: string) => void;
}

function Field({ label, hint, type = 'text', value = '', onChange }: FieldProps) {
  const draft = useDraft(value, onChange);
  return (
    <label>
      {label}
      <input
        // The types of Preact tell inputs apart by it, and want one at a time.
        type={type as 'text'}
        placeholder={hint}
        value={draft.text}
        onInput={({ currentTarget }) => draft.type(currentTarget.value)}
        onChange={({ currentTarget }) => draft.commit(currentTarget.value)}
      />
    </label>
  );
}

interface TimeProps {
  label: string;
  /** As the API has it. */
  value: string | undefined;
  onChange: (value: string) => void;
}

/** A time in the person's own zone. */
function Time({ label, value, onChange }: TimeProps) {
  const date = new Date(value ?? '');
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return (
    <Field
      label={label}
      type="datetime-local"
      value={Number.isNaN(local.getTime()) ? '' : local.toISOString().slice(0, 16)}
      onChange={(text) => onChange(text === '' ? '' : new Date(text).toISOString())}
    />
  );
}
