/** How a command stands, as a word, a colour and a picture: none of them alone. */
import type { Status as StatusName } from '../../../src/command.ts';
import { words } from '../i18n/language.ts';
import { Icon, type IconName } from './icon.tsx';

const ICONS: Record<StatusName, IconName> = {
  QUEUED: 'queued',
  EXECUTING: 'executing',
  EXECUTED: 'executed',
  FAILED: 'failed',
  STOPPED: 'stopped',
};

/** @param percent how far it says that it is, while it runs. */
export function Status({ status, percent = null }: { status: StatusName; percent?: number | null }) {
  const shown = status === 'EXECUTING' && percent !== null ? ` ${Math.floor(percent)} %` : '';
  return (
    <span class={`status ${status.toLowerCase()}`}>
      <Icon name={ICONS[status]} />
      <span>
        {words.value.statuses[status]}
        {shown}
      </span>
    </span>
  );
}
