/** Commands in words, and the nodes that run them. */
import type { Command, Node, Outcome, Pruned, Transition } from '../client/index.ts';
import { printable } from './terminal.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A span of time to two units: `350 ms`, `4.2 s`, `3 min 5 s`, `2 d 4 h`. */
export function duration(ms: number): string {
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < MINUTE) return `${(ms / SECOND).toFixed(1)} s`;
  const parts = (big: number, bigName: string, small: number, smallName: string) =>
    `${Math.floor(ms / big)} ${bigName} ${Math.floor((ms % big) / small)} ${smallName}`;
  if (ms < HOUR) return parts(MINUTE, 'min', SECOND, 's');
  if (ms < DAY) return parts(HOUR, 'h', MINUTE, 'min');
  return parts(DAY, 'd', HOUR, 'h');
}

/** Who did something, where that is known. */
const byName = (name: string | null) => (name === null ? '' : ` by ${printable(name)}`);

/** How it ended, in a few words, or that it has not. */
export function outcomeInWords(outcome: Outcome): string {
  const { status, reason, exit_code, signal, error, stopped_by } = outcome;
  const how = signal === null ? `exit code ${exit_code}` : `was killed by ${signal}`;
  switch (reason) {
    case null:
      return status === 'QUEUED' ? 'waits for a slot' : 'runs';
    case 'exit':
    case 'signal':
      return how;
    case 'timeout':
      return 'took too long, and was ended';
    case 'output_limit':
      return 'printed more than it may, and was ended';
    case 'stop':
      return `was stopped${byName(stopped_by)}`;
    case 'shutdown':
      return 'was stopped by the shutdown of the server';
    case 'spawn_error':
    case 'lost':
      return error ?? reason;
    default:
      return reason satisfies never;
  }
}

/** Columns side by side; the last one has no padding, so it may hold anything. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] as number))).join('  ');
  return rows.map((row) => `${line(row)}\n`).join('');
}

/** What a person tells commands apart by. */
function nameOf({ description, script }: Command): string {
  const firstLine = script.split('\n').find((line) => line.trim() !== '' && !line.startsWith('#!')) ?? '';
  return printable(description || firstLine.trim());
}

/** A list, newest first; the name is cut where the terminal ends. */
export function table(commands: readonly Command[], now: number, width = Number.POSITIVE_INFINITY): string {
  // Where no tokens are used nobody has a name.
  const hasNames = commands.some(({ created_by }) => created_by !== null);
  const by = (name: string) => (hasNames ? [printable(name)] : []);
  const rows = commands.map((command) => [
    command.command_uuid,
    command.status,
    command.reason === null ? '' : (command.signal ?? `${command.exit_code ?? ''}`),
    `${duration(now - Date.parse(command.created_at))} ago`,
    ...by(command.created_by ?? ''),
    command.duration_ms === null ? '' : duration(command.duration_ms),
    nameOf(command),
  ]);
  const text = columns([['UUID', 'STATUS', 'EXIT', 'CREATED', ...by('BY'), 'TOOK', 'WHAT'], ...rows]);
  return text.replaceAll(/.+/g, (line) => line.slice(0, width));
}

/** The steps of a command, oldest first. */
export function steps(transitions: readonly Transition[]): string {
  const rows = transitions.map(({ from, event, to, at }) => [at, from ?? '', event, to]);
  return columns([['AT', 'FROM', 'EVENT', 'TO'], ...rows]);
}

/** The nodes that share the work, oldest first. */
export function nodeTable(nodes: readonly Node[], now: number): string {
  const rows = nodes.map(({ id, name, version, state, slots, executing, waiting, last_heartbeat_at: at, labels }) => [
    id,
    name,
    version,
    state,
    `${executing} of ${slots}`,
    `${waiting}`,
    at === null ? 'never' : `${duration(Math.max(0, now - Date.parse(at)))} ago`,
    labels.join(','),
  ]);
  return columns([['ID', 'NAME', 'VERSION', 'STATE', 'RUNS', 'WAIT', 'HEARD', 'LABELS'], ...rows]);
}

/** What a deletion of many commands has done. */
export function prunedInWords({ deleted, kept, dry_run: isDry }: Pruned): string {
  const { live, pinned } = kept;
  const stay = [live > 0 && `${live} waiting or running`, pinned > 0 && `${pinned} pinned`].filter(Boolean).join(', ');
  return `${deleted} ${isDry ? 'would be deleted' : 'deleted'}${stay === '' ? '' : `; kept: ${stay}`}\n`;
}

/** One command with all that is known of it, its output at the end. */
export function inWords(shown: Command): string {
  const { durable, pinned, description, labels, options, inputs, rerun_of, progress } = shown;
  const facts: [string, string | null][] = [
    ['uuid', shown.command_uuid],
    ['description', printable(description) || null],
    ['status', `${shown.status}: ${outcomeInWords(shown)}`],
    ['progress', progress === null ? null : printable(`${progress.percent} % ${progress.text}`.trim())],
    ['kind', `${durable ? 'durable' : 'regular'}${pinned ? ', pinned' : ''}`],
    [
      'labels',
      Object.entries(labels)
        .map((pair) => pair.join('='))
        .join(', ') || null,
    ],
    ['options', jsonOf(options)],
    ['inputs', jsonOf(inputs ?? {})],
    ['rerun of', rerun_of],
    ['created', `${shown.created_at}${byName(shown.created_by)}`],
    ['started', shown.started_at],
    ['ended', shown.ended_at],
    ['took', shown.duration_ms === null ? null : duration(shown.duration_ms)],
    ['output', `${shown.output_bytes} bytes${shown.output_truncated ? ', not all of it kept' : ''}`],
  ];
  const known = facts.filter((fact): fact is [string, string] => fact[1] !== null);
  return `${columns(known)}\n${indented('script', shown.script)}${shown.output === '' ? '' : `\n${indented('output', shown.output)}`}`;
}

const jsonOf = (fields: object) => (Object.keys(fields).length === 0 ? null : printable(JSON.stringify(fields)));

const indented = (title: string, text: string) => `${title}\n${text.replace(/\n$/, '').replaceAll(/^/gm, '  ')}\n`;
