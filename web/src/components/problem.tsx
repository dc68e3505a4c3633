/** Something that did not work, and can be tried again. */
import { words } from '../i18n/language.ts';
import { sentenceOf } from '../notices.ts';

export function Problem({ error, onRetry }: { error: unknown; onRetry: () => void }) {
  return (
    <section class="centred" role="alert">
      <p>{sentenceOf(error)}</p>
      <button type="button" class="primary" onClick={onRetry}>
        {words.value.commands.retry}
      </button>
    </section>
  );
}
