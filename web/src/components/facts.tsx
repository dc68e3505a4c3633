/** What is known of a command, beside its output. */
import type { ComponentChildren } from 'preact';
import type { Command, Transition } from '../../../src/client/index.ts';
import { now } from '../clock.ts';
import { timeoutOf } from '../commands/stopping.ts';
import { formatBytes, formatDuration, formatFullTime, formatTime } from '../format.ts';
import { words } from '../i18n/language.ts';
import { pathOfCommand } from '../router.ts';
import { sandboxOf } from '../run/form.ts';
import { textOfSize } from '../run/units.ts';

export function Facts({ command, steps }: { command: Command; steps: readonly Transition[] | undefined }) {
  const { facts, locale, bytes } = words.value;
  const { rerun_of: rerunOf, labels } = command;
  const time = (text: string | null) =>
    text === null ? null : (
      <time dateTime={text} title={formatFullTime(Date.parse(text), locale)}>
        {formatTime(Date.parse(text), locale)}
      </time>
    );
  const timeout = timeoutOf(steps);
  return (
    <dl class="facts">
      <Fact name={facts.sent}>{time(command.created_at)}</Fact>
      <Fact name={facts.by}>{command.created_by}</Fact>
      <Fact name={facts.node}>{command.node}</Fact>
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
      <Fact name={facts.kind}>
        {[facts.durables[`${command.durable}`], command.pinned && facts.pinned].filter(Boolean).join(', ')}
      </Fact>
      <Inputs command={command} />
      <Options command={command} />
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

function Inputs({ command: { inputs } }: { command: Command }) {
  const { facts, run, locale, bytes } = words.value;
  const pairs = Object.entries(inputs?.env ?? {}).map(([name, value]) => `${name}=${value}`);
  return (
    <>
      <Fact name={run.env}>{code(pairs.join('\n'))}</Fact>
      <Fact name={run.secrets}>{code((inputs?.secret_env ?? []).map((name) => `${name}=***`).join('\n'))}</Fact>
      <Fact name={run.args}>{code((inputs?.args ?? []).map((arg) => JSON.stringify(arg)).join(' '))}</Fact>
      <Fact name={run.cwd}>{code(inputs?.cwd ?? '')}</Fact>
      <Fact name={run.stdin}>
        {inputs?.stdin_bytes !== undefined && facts.bytesOf(formatBytes(inputs.stdin_bytes, locale, bytes))}
      </Fact>
    </>
  );
}

function Options({ command: { options } }: { command: Command }) {
  const { filters, run, locale } = words.value;
  const count = (value: number | undefined) => value !== undefined && new Intl.NumberFormat(locale).format(value);
  return (
    <>
      <Fact name={run.maxTime}>{options.timeout_ms !== undefined && formatDuration(options.timeout_ms, locale)}</Fact>
      <Fact name={run.sandbox}>{options.sandbox !== undefined && run.sandboxes[sandboxOf(options)]}</Fact>
      <Fact name={run.maxMemory}>{options.max_memory_bytes !== undefined && textOfSize(options.max_memory_bytes)}</Fact>
      <Fact name={run.maxProcesses}>{count(options.max_processes)}</Fact>
      <Fact name={run.maxOpenFiles}>{count(options.max_open_files)}</Fact>
      <Fact name="Nice">{count(options.nice)}</Fact>
      <Fact name={run.node}>{options.node?.label}</Fact>
      <Fact name={run.onLost}>{options.on_lost !== undefined && run.lostActions[options.on_lost]}</Fact>
      <Fact name={run.onOutputLimit}>
        {options.on_output_limit !== undefined && run.outputLimitActions[options.on_output_limit]}
      </Fact>
      <Fact name={run.keepsBackground}>
        {options.keep_background !== undefined && filters[options.keep_background ? 'yes' : 'no']}
      </Fact>
    </>
  );
}

const code = (text: string) => text !== '' && <code>{text}</code>;

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
