/** All that is known of one row of the inspector. */
import type { ComponentChildren } from 'preact';
import { formatPreciseTime } from '../format.ts';
import { language } from '../i18n/language.ts';
import { ndjsonOf } from '../inspector/export.ts';
import { commandOf, type Message } from '../inspector/sequence.ts';
import { words } from '../inspector/words/words.ts';
import { pathOfCommand } from '../router.ts';
import { Icon } from './icon.tsx';
import { eventOf, senderOf } from './inspector-row.tsx';
import { subjectOf } from './inspector-table.tsx';

export interface InspectorDetailsProps {
  message: Message;
  onOnly: (name: string) => void;
  onClose: () => void;
}

export function InspectorDetails({ message, onOnly, onClose }: InspectorDetailsProps) {
  const { facts, details, close, only, toCommand, notYet, notTold, noState, ended } = words.value;
  const { to, from, event, before, after, end, at } = message;
  const command = commandOf(to) ?? (from === undefined ? undefined : commandOf(from));
  const subject = subjectOf(message);
  return (
    <aside class="details" aria-label={details}>
      <div class="toolbar">
        <h2>{event ?? eventOf(message)}</h2>
        <button type="button" class="quiet" aria-label={close} title={`${close} (Esc)`} onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      <dl class="facts">
        <Fact name={facts.from}>{from?.name ?? (senderOf(message) || notTold)}</Fact>
        <Fact name={facts.to}>{to.name}</Fact>
        <Fact name={facts.before}>{before ?? noState}</Fact>
        <Fact name={facts.after}>{after === undefined ? notYet : (after ?? noState)}</Fact>
        {end !== undefined && <Fact name={facts.ended}>{ended[end]}</Fact>}
        <Fact name={facts.at}>{formatPreciseTime(at, language.value)}</Fact>
      </dl>
      <div class="buttons">
        <button type="button" class="chip" onClick={() => onOnly(subject)}>
          {only(subject)}
        </button>
        {command !== undefined && (
          <a href={pathOfCommand(command.name)} data-screen>
            {toCommand}
          </a>
        )}
      </div>
      <h3>{facts.told}</h3>
      <pre>{ndjsonOf([message])}</pre>
    </aside>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
