/** A pseudo terminal (pty(7)), and what a person sees in it. */
import { closeSync, constants, createReadStream, openSync, writeSync } from 'node:fs';
import koffi from 'koffi';
import type { Scope } from './scope.ts';
import { until } from './until.ts';

const libc = koffi.load(null);
const unlock = libc.func('int unlockpt(int fd)');
const nameOf = libc.func('int ptsname_r(int fd, void *name, ulong size)');
const FLAGS = constants.O_RDWR | constants.O_NOCTTY;

export interface Terminal {
  /** For the streams of a process. */
  readonly fd: number;
  /** All that was written to it. */
  text(): string;
  /** What stands in it. */
  screen(): string[];
  /** Resolves when all that was written before has been read. */
  settled(): Promise<void>;
}

/** Opens a terminal. */
export function openTerminal(t: Scope): Terminal {
  const master = openSync('/dev/ptmx', FLAGS);
  const name = Buffer.alloc(64);
  if (unlock(master) !== 0 || nameOf(master, name, name.length) !== 0) throw new Error('there is no pseudo terminal');
  const fd = openSync(name.toString('latin1', 0, name.indexOf(0)), FLAGS);
  let text = '';
  /** How many NUL characters we have written ourselves, to see them come out again. */
  let marks = 0;
  const shown = () => text.replaceAll('\0', '');
  const reader = createReadStream('', { fd: master, encoding: 'utf8' });
  reader.on('data', (part) => {
    text += part;
  });
  // What is read when nobody has it open any more (EIO).
  reader.on('error', () => {});
  t.teardown(() => {
    closeSync(fd);
    reader.destroy();
  });
  return {
    fd,
    text: shown,
    screen: () => screenOf(shown()),
    async settled() {
      writeSync(fd, '\0');
      marks++;
      await until('all is read', () => text.split('\0').length > marks);
    },
  };
}

const ESCAPE = '\u001b';
/** A control sequence, or a character. */
const PART = new RegExp(`${ESCAPE}\\[[?\\d]*[A-Za-z]|.`, 'gsu');

/** Understands what the command line uses of a terminal: carriage return, line feed, and clearing a line. */
function screenOf(text: string): string[] {
  const lines = [''];
  let column = 0;
  for (const [part] of text.matchAll(PART)) {
    const line = lines.at(-1) as string;
    if (part === '\n') lines.push(' '.repeat(column));
    else if (part === '\r') column = 0;
    else if (part === `${ESCAPE}[K`) lines[lines.length - 1] = line.slice(0, column);
    else if (!part.startsWith(ESCAPE)) {
      lines[lines.length - 1] = line.slice(0, column).padEnd(column) + part + line.slice(column + 1);
      column++;
    }
  }
  return lines.map((line) => line.trimEnd());
}
