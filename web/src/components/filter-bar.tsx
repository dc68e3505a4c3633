/** Sets the filters, which are in the address: so they can be kept, sent and gone back to. */
import { useEffect, useRef } from 'preact/hooks';
import { REASONS, STATUSES } from '../../../src/command.ts';
import { deleteMatching } from '../commands/delete-matching.ts';
import {
  addressOf,
  type Filters,
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
import { navigate } from '../router.ts';
import { Icon } from './icon.tsx';
import { Status } from './status.tsx';

/** How long a person pauses before what he types is searched for, in ms. */
const TYPING_MS = 250;

/** @param total how many commands there are with these filters. */
export function FilterBar({ filters, total }: { filters: Filters; total: number | undefined }) {
  const { filters: own, bulk, commands } = words.value;
  const isFiltered = Object.keys(filters).length > 0;
  const go = (changed: Filters, replaces = false) => navigate(addressOf(changed), { replaces });
  const query = queryOf(filters);
  return (
    <search class="filters" aria-label={own.label}>
      <SearchField text={filters.q ?? ''} onSearch={(q) => go(withFilter(filters, 'q', q), true)} />
      <fieldset class="chips">
        <legend class="hidden">{own.statuses}</legend>
        {STATUSES.map((status) => (
          <button
            key={status}
            type="button"
            class="chip"
            aria-pressed={statusesOf(filters).includes(status)}
            onClick={() => go(withStatus(filters, status))}
          >
            <Status status={status} />
          </button>
        ))}
      </fieldset>
      <details class="more">
        <summary>{own.more}</summary>
        <MoreFilters filters={filters} onChange={go} />
      </details>
      {isFiltered && (
        <button type="button" class="quiet" onClick={() => go({})}>
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
  const isShort = text !== '' && [...text].length < SEARCH_MIN;
  return (
    <div class="search">
      <Icon name="search" />
      <input
        ref={input}
        type="search"
        value={text}
        maxLength={200}
        placeholder={filters.search}
        aria-label={filters.search}
        aria-describedby="search-hint"
        onInput={({ currentTarget: { value } }) => {
          clearTimeout(pause.current);
          pause.current = window.setTimeout(() => onSearch(value), TYPING_MS);
        }}
      />
      <span id="search-hint" class="hint" role="status">
        {isShort && filters.searchShort}
      </span>
    </div>
  );
}

function MoreFilters({ filters, onChange }: { filters: Filters; onChange: (changed: Filters) => void }) {
  const { filters: own, reasons } = words.value;
  const set = (name: string) => (value: string) => onChange(withFilter(filters, name, value));
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
      <label>
        {own.exitCode}
        <input
          type="number"
          min={0}
          max={255}
          value={filters.exit_code ?? ''}
          onChange={({ currentTarget }) => set('exit_code')(currentTarget.value)}
        />
      </label>
      <label>
        {own.labels}
        <input
          type="text"
          placeholder={own.labelHint}
          value={labelsOf(filters)}
          onChange={({ currentTarget }) => onChange(withLabels(filters, currentTarget.value))}
        />
      </label>
      <label>
        {own.by}
        <input
          type="text"
          value={filters.created_by ?? ''}
          onChange={({ currentTarget }) => set('created_by')(currentTarget.value)}
        />
      </label>
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
    <label>
      {label}
      <input
        type="datetime-local"
        value={Number.isNaN(local.getTime()) ? '' : local.toISOString().slice(0, 16)}
        onChange={({ currentTarget }) =>
          onChange(currentTarget.value === '' ? '' : new Date(currentTarget.value).toISOString())
        }
      />
    </label>
  );
}
