/** What can be done with the selected commands; there only when some are. */
import { clearSelection, deleteSelected, selected, stopSelected } from '../commands/selection.ts';
import { words } from '../i18n/language.ts';

export function BulkBar() {
  const { bulk } = words.value;
  const { size } = selected.value;
  if (size === 0) return null;
  return (
    <section class="bulk" aria-label={bulk.label}>
      <strong role="status">{bulk.selected(size)}</strong>
      <button type="button" onClick={() => void stopSelected()}>
        {bulk.stop}
      </button>
      <button type="button" class="danger" onClick={() => void deleteSelected()}>
        {bulk.delete}
      </button>
      <button type="button" class="quiet" onClick={clearSelection}>
        {bulk.clear}
      </button>
    </section>
  );
}
