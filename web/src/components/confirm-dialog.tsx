/** Shows the question that `confirm.ts` has, if any. */
import { question } from '../confirm.ts';
import { words } from '../i18n/language.ts';
import { Dialog } from './dialog.tsx';

export function ConfirmDialog() {
  const asked = question.value;
  if (asked === undefined) return null;
  const { title, body, action, answer } = asked;
  return (
    <Dialog title={title} onClose={() => answer(false)}>
      <p>{body}</p>
      <div class="actions">
        <button type="button" onClick={() => answer(false)}>
          {words.value.bulk.cancel}
        </button>
        <button type="button" class="danger" onClick={() => answer(true)}>
          {action}
        </button>
      </div>
    </Dialog>
  );
}
