/**
 * The oracle of all tests of crashes: a script that prints numbered lines and writes the same bytes, and a marker for
 * each run, to side files; and the comparison of these with what is stored.
 *
 * A line goes to the pipe first and to the side file after it. So when a script is killed what is stored has all that
 * the side file has, and at most one line more. The other way round a lost line could not be told from one that was
 * never printed.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Stream } from '../../src/command.ts';
import { UUID_VARIABLE } from '../../src/os/mark.ts';
import { isAlive } from './processes.ts';

/** What a script of the oracle prints. */
export interface OracleSpec {
  /** Path of its side files without their endings; its last part is in every line, so that no two scripts print the same. */
  side: string;
  lines: number;
  /** Bytes that each line is longer than its number needs; at most 4000, so that a line is written at once (pipe(7)). */
  filler: number;
  /** It waits a moment after so many lines; 0: never. */
  pauseEvery: number;
  pauseMs: number;
  exitCode: number;
  /** Bash that comes before all else. */
  prelude?: string;
}

const STREAMS: readonly Stream[] = ['stdout', 'stderr'];
/** The length of the text that fillers are cut from, at a place that differs from line to line. */
const FILLER_PERIOD = 64;
const FILLER = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/'.repeat(64);

/** A number that follows from the line's own, so that a line that was put together from two is noticed. */
const checkNumber = (i: number) => (i * 48271) % 65521;

/** Odd lines go to stdout, even ones to stderr. */
const streamOf = (i: number): Stream => (i % 2 === 1 ? 'stdout' : 'stderr');

/** The script. It waits by `read -t` on a descriptor that gives nothing, since hundreds of them shall not fork sleeps. */
export function oracleScript({ side, lines, filler, pauseEvery, pauseMs, exitCode, prelude = '' }: OracleSpec): string {
  const name = nameOf(side);
  const pause = pauseEvery === 0 ? '' : `((i % ${pauseEvery} == 0)) && read -t ${pauseMs / 1000} -u 5`;
  return `${prelude}
echo ran >> '${side}.runs'
exec 3>> '${side}.stdout' 4>> '${side}.stderr' 5<> <(:)
filler=$(printf 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/%.0s' {1..64})
for ((i = 1; i <= ${lines}; i++)); do
  printf -v line '%s %d %d %s' '${name}' $i $((i * 48271 % 65521)) "\${filler:i % ${FILLER_PERIOD}:${filler}}"
  if ((i % 2 == 1)); then
    printf '%s\\n' "$line"; printf '%s\\n' "$line" >&3
  else
    printf '%s\\n' "$line" >&2; printf '%s\\n' "$line" >&4
  fi
  ${pause}
done
exit ${exitCode}
`;
}

const nameOf = (side: string) => side.slice(side.lastIndexOf('/') + 1);

/** A line as the script prints it. */
function lineOf({ side, filler }: OracleSpec, i: number): string {
  const start = i % FILLER_PERIOD;
  return `${nameOf(side)} ${i} ${checkNumber(i)} ${FILLER.slice(start, start + filler)}\n`;
}

/** All that a script prints to a stream if nobody stops it. */
export function wholeOutput(spec: OracleSpec, stream: Stream): string {
  let text = '';
  for (let i = 1; i <= spec.lines; i++) if (streamOf(i) === stream) text += lineOf(spec, i);
  return text;
}

/** What a script says that it has printed: its side files. */
export interface Printed {
  /** How often it was run. */
  runs: number;
  stdout: string;
  stderr: string;
}

export function readPrinted(side: string): Printed {
  const read = (ending: string) => (existsSync(`${side}.${ending}`) ? readFileSync(`${side}.${ending}`, 'latin1') : '');
  return { runs: read('runs').split('\n').length - 1, stdout: read('stdout'), stderr: read('stderr') };
}

/** What is stored of a command's output. */
export interface Stored {
  stdout: string;
  stderr: string;
  /** Whether each piece begins where the one before it ends. */
  seamless: boolean;
}

/** Where rows are read: a client of pg is one. */
interface Database {
  // biome-ignore lint/suspicious/noExplicitAny: rows have many shapes
  query(sql: string, values: unknown[]): Promise<{ rows: any[] }>;
}

/** Reads stored output as it is, past the JSON view, which replaces bytes. */
export async function readStored(db: Database, uuid: string): Promise<Stored> {
  const { rows } = await db.query(
    `SELECT byte_offset::int8::text AS start, stream, data FROM command_output o JOIN commands c ON c.id = o.command_id
     WHERE command_uuid = $1 ORDER BY byte_offset`,
    [uuid],
  );
  const parts: Record<Stream, Buffer[]> = { stdout: [], stderr: [] };
  let end = 0;
  let seamless = true;
  for (const { start, stream, data } of rows) {
    seamless &&= Number(start) === end;
    end = Number(start) + data.length;
    parts[stream === 1 ? 'stdout' : 'stderr'].push(data);
  }
  const text = (stream: Stream) => Buffer.concat(parts[stream]).toString('latin1');
  return { stdout: text('stdout'), stderr: text('stderr'), seamless };
}

/** How two texts of lines differ. */
export interface Difference {
  /** Bytes of lines that were printed and are not stored. */
  lost: number;
  /** Bytes that are stored and were not printed, or not as often. */
  doubled: number;
  /** Whether the same lines are stored in another order. */
  disordered: boolean;
}

/** Compares line by line, so that the figures are true ones: one lost line in the middle is one lost line. */
export function compareLines(stored: string, printed: string): Difference {
  if (stored === printed) return { lost: 0, doubled: 0, disordered: false };
  const missing = new Map<string, number>();
  for (const line of linesOf(printed)) missing.set(line, (missing.get(line) ?? 0) + 1);
  let doubled = 0;
  for (const line of linesOf(stored)) {
    const count = missing.get(line) ?? 0;
    if (count > 0) missing.set(line, count - 1);
    else doubled += line.length;
  }
  let lost = 0;
  for (const [line, count] of missing) lost += line.length * count;
  return { lost, doubled, disordered: lost + doubled === 0 };
}

/** Lines with their ends, a last one without an end included. */
const linesOf = (text: string) => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

/** Compares what is stored of a script that ended by itself. */
export function compareEnded(stored: Stored, printed: Printed): Difference {
  return sum(STREAMS.map((stream) => compareLines(stored[stream], printed[stream])));
}

/**
 * Compares what is stored of a script that was killed: all that its side file has, and of what it prints next at most
 * one line.
 */
export function compareStopped(spec: OracleSpec, stored: Stored, printed: Printed): Difference {
  return sum(
    STREAMS.map((stream) => {
      const said = printed[stream];
      const more = stored[stream].slice(said.length);
      const next = wholeOutput(spec, stream).slice(said.length).split('\n', 1)[0];
      const inTheMiddle = stored[stream].startsWith(said) && `${next}\n`.startsWith(more);
      return compareLines(inTheMiddle ? said : stored[stream], said);
    }),
  );
}

/** Compares what is stored of a script whose launcher was killed: it begins with `before`, and nothing in it is wrong. */
export function compareLost(spec: OracleSpec, stored: Stored, before: Stored): Difference {
  return sum(
    STREAMS.map((stream) => {
      const kept = stored[stream].slice(0, before[stream].length);
      const { lost } = compareLines(kept, before[stream]);
      const isPrefix = wholeOutput(spec, stream).startsWith(stored[stream]);
      return {
        lost,
        doubled: isPrefix ? 0 : compareLines(stored[stream], wholeOutput(spec, stream)).doubled,
        disordered: !isPrefix,
      };
    }),
  );
}

/**
 * Compares what is stored of a script that was lost and run again: parts of it, as far as its runs came, behind each other.
 * @param isWhole whether the last one came to its end.
 */
export function compareRerun(spec: OracleSpec, stored: Stored, isWhole: boolean): Difference {
  return sum(
    STREAMS.map((stream) => {
      const whole = wholeOutput(spec, stream);
      const runs = stored[stream].split(new RegExp(`(?=${nameOf(spec.side)} ${stream === 'stdout' ? 1 : 2} )`));
      const last = isWhole ? (runs.pop() ?? '') : whole;
      const wrong = runs.filter((run) => !whole.startsWith(run)).join('');
      return sum([compareLines(last, whole), compareLines(wrong, '')]);
    }),
  );
}

function sum(differences: Difference[]): Difference {
  return {
    lost: differences.reduce((all, { lost }) => all + lost, 0),
    doubled: differences.reduce((all, { doubled }) => all + doubled, 0),
    disordered: differences.some(({ disordered }) => disordered),
  };
}

/** The living processes that carry a command's id in their environment. */
export function processesOf(uuid: string): number[] {
  const marker = `${UUID_VARIABLE}=${uuid}`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(marker) && isAlive(pid);
      } catch {
        return false;
      }
    });
}
