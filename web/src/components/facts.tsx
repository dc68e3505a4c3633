/** What is known of a command, beside its output. */
import type { ComponentChildren } from 'preact';
import type { Command, Transition } from '../../../src/client/index.ts';
import { now } from '../clock.ts';
import { timeoutOf } from '../commands/stopping.ts';
import { formatBytes, formatDuration, formatFullTime, formatTime } from '../format.ts';
import { words } from '../i18n/language.ts';
import { pathOfCommand } from '../router.ts';

export function Facts({ command, steps }: { command: Command; steps: readonly Transition[] | undefined }) {
  const { facts, locale, bytes } = words.value;
  const { rerun_of: rerunOf, inputs, options, labels } = command;
  const time = (text: string | null) =>
    text === null ? null : (
      <time dateTime={text} title={formatFullTime(Date.parse(text), locale)}>
        {formatTime(Date.parse(text), locale)}
      </time>
    );
  const given = { ...options, ...inputs };
  const timeout = timeoutOf(steps);
  return (
    <dl class="facts">
      <Fact name={facts.sent}>{time(command.created_at)}</Fact>
      <Fact name={facts.by}>{command.created_by}</Fact>
      <Fact name={facts.started}>{time(command.started_at)}</Fact>
      <Fact name={facts.duration}>
        <Duration command={command} />
      </Fact>
      <Fact name={facts.timeLeft}>{timeout !== undefined && <TimeLeft until={timeout} />}</Fact>
      <Fact name={facts.output}>{command.output_bytes > 0 && formatBytes(command.output_bytes, locale, bytes)}</Fact>
      <Fact name={facts.labels}>
        {Object.entries(labels)
          .map(([name, text]) => `${name}=${text}`)
          .join(', ')}
      </Fact>
      <Fact name={facts.given}>{Object.keys(given).length > 0 && <code>{JSON.stringify(given)}</code>}</Fact>
      <Fact name={facts.rerunOf}>
        {rerunOf !== null && (
          <a href={pathOfCommand(rerunOf)} data-screen>
            {rerunOf}
          </a>
        )}
      </Fact>
      <Fact name="UUID">
        <code>{command.command_uuid}</code>
      </Fact>
    </dl>
  );
}

/** Nothing where there is nothing to say. */
function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  if (children === null || children === false || children === '') return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Duration({ command: { status, started_at: startedAt, duration_ms: durationMs } }: { command: Command }) {
  const { locale, commands } = words.value;
  if (durationMs !== null) return <>{formatDuration(durationMs, locale)}</>;
  if (status === 'QUEUED') return <>{commands.waiting}</>;
  if (status !== 'EXECUTING' || startedAt === null) return null;
  return <>{inSeconds(now.value - Date.parse(startedAt), locale)}</>;
}

function TimeLeft({ until }: { until: number }) {
  return <>{inSeconds(until - now.value, words.value.locale)}</>;
}

const inSeconds = (ms: number, locale: string) => formatDuration(Math.max(0, Math.floor(ms / 1000) * 1000), locale);
