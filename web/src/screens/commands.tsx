/** All commands, live. */
import { useEffect, useMemo } from 'preact/hooks';
import { filtersOf, queryOf } from '../commands/filters.ts';
import { LiveList } from '../commands/live-list.ts';
import { BulkBar } from '../components/bulk-bar.tsx';
import { CommandTable } from '../components/command-table.tsx';
import { FilterBar } from '../components/filter-bar.tsx';
import { Problem } from '../components/problem.tsx';
import { words } from '../i18n/language.ts';
import { search } from '../router.ts';
import { client } from '../session.ts';

export function CommandsScreen() {
  const { commands } = words.value;
  const filters = filtersOf(search.value);
  const key = JSON.stringify(queryOf(filters));
  const server = client.value;
  const list = useMemo(() => new LiveList(server, JSON.parse(key)), [server, key]);
  useEffect(() => () => list.stop(), [list]);
  return (
    <div class="commands">
      <h1 class="hidden">{commands.title}</h1>
      <FilterBar filters={filters} total={list.total.value} />
      <Content list={list} isFiltered={Object.keys(filters).length > 0} />
      <BulkBar />
    </div>
  );
}

function Content({ list, isFiltered }: { list: LiveList; isFiltered: boolean }) {
  const { commands } = words.value;
  // Drawn again with the rows, for the moment when the first comes or the last goes.
  void list.version.value;
  const state = list.state.value;
  if (list.pages.length > 0) return <CommandTable list={list} />;
  if (state === 'failed') return <Problem error={list.failure.value} onRetry={() => list.retry()} />;
  if (state === 'loading') return <p class="centred late muted">{commands.loading}</p>;
  if (isFiltered) {
    return (
      <section class="centred">
        <p>{commands.nothingFound}</p>
        <a href="/" data-screen>
          {commands.clearFilters}
        </a>
      </section>
    );
  }
  return (
    <section class="centred">
      <p>{commands.empty}</p>
      <p class="muted">{commands.emptyHint}</p>
      <pre>
        curl -s -H 'Content-Type: application/json' -d '{'{"script":"echo Hello"}'}' {location.origin}/api/v1/commands
      </pre>
    </section>
  );
}
