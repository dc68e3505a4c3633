/** Notices, one below the other; read out as they come. */
import { words } from '../i18n/language.ts';
import { dismiss, notices } from '../notices.ts';
import { Icon } from './icon.tsx';

export function Notices() {
  return (
    <div class="notices" role="status">
      {notices.value.map((notice) => (
        <div key={notice.text} class={notice.isProblem ? 'notice problem' : 'notice'}>
          <span>{notice.text}</span>
          <button type="button" class="quiet" aria-label={words.value.close} onClick={() => dismiss(notice)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
