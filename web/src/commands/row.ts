/** What the list keeps of a command: no more than it shows, since it keeps many. */
import type { Command } from '../../../src/client/index.ts';
import type { Reason, Status } from '../../../src/command.ts';

export interface Row {
  readonly uuid: string;
  readonly description: string;
  /** The first line of the script that says something. */
  readonly firstLine: string;
  readonly status: Status;
  /** 0–100; null: it has not said how far it is. */
  readonly percent: number | null;
  readonly reason: Reason | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** In ms since the epoch, as all times here. */
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly durationMs: number | null;
  readonly outputBytes: number;
  readonly pinned: boolean;
  /** The name of the token that it was sent with; null: none. */
  readonly createdBy: string | null;
}

/** The fields that a row is made of. */
export const ROW_FIELDS = [
  'command_uuid',
  'description',
  'script',
  'status',
  'progress',
  'reason',
  'exit_code',
  'signal',
  'created_at',
  'started_at',
  'duration_ms',
  'output_bytes',
  'pinned',
  'created_by',
] as const satisfies (keyof Command)[];

/** Most characters of a line that are kept: no screen is wider. */
const LINE_CHARACTERS = 300;

/** A command as it came with the fields above. */
export function rowOf(command: Partial<Command>): Row {
  const fields = command as Command;
  return {
    uuid: fields.command_uuid,
    description: fields.description,
    firstLine: firstLineOf(fields.script),
    status: fields.status,
    percent: fields.progress?.percent ?? null,
    reason: fields.reason,
    exitCode: fields.exit_code,
    signal: fields.signal,
    createdAt: Date.parse(fields.created_at),
    startedAt: fields.started_at === null ? null : Date.parse(fields.started_at),
    durationMs: fields.duration_ms,
    outputBytes: fields.output_bytes,
    pinned: fields.pinned,
    createdBy: fields.created_by,
  };
}

/** Passed over is what many scripts begin with: empty lines, which shell it is, and its options. */
export function firstLineOf(script: string): string {
  for (const line of script.split('\n', 50)) {
    const text = line.trim();
    if (text !== '' && !/^(#!|set -)/.test(text)) return text.slice(0, LINE_CHARACTERS);
  }
  return script.slice(0, LINE_CHARACTERS).trim();
}

/** Whether it has not ended. */
export const isAlive = ({ status }: Pick<Row, 'status'>) => status === 'QUEUED' || status === 'EXECUTING';
