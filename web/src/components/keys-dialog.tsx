/** Lists what the keys do at the moment. */
import { words } from '../i18n/language.ts';
import { activeKeys, singleKeys } from '../keys.ts';
import { Dialog } from './dialog.tsx';

/** How keys are written that have no character of their own. */
const NAMES: Record<string, string> = {
  ArrowDown: '↓',
  ArrowUp: '↑',
  ArrowLeft: '←',
  ArrowRight: '→',
  ' ': 'Space',
  Escape: 'Esc',
  Delete: 'Del',
};
const nameOf = (key: string) =>
  key
    .split('+')
    .map((part) => NAMES[part] ?? part)
    .join(' ');

export function KeysDialog({ onClose }: { onClose: () => void }) {
  const { keys } = words.value;
  return (
    <Dialog title={keys.title} onClose={onClose}>
      <dl class="keys">
        {activeKeys.value.map(({ keys, does }) => (
          <div key={keys.join()}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{nameOf(key)}</kbd>
              ))}
            </dt>
            <dd>{does(words.value)}</dd>
          </div>
        ))}
      </dl>
      <label class="check">
        <input
          type="checkbox"
          checked={singleKeys.value === 'on'}
          onChange={({ currentTarget }) => {
            singleKeys.value = currentTarget.checked ? 'on' : 'off';
          }}
        />
        {keys.singleKeys}
      </label>
      <p class="muted">{keys.singleKeysWhy}</p>
      <form method="dialog" class="actions">
        <button type="submit" class="primary">
          {keys.close}
        </button>
      </form>
    </Dialog>
  );
}
