/** Following a command, as if its script ran right here. */
import { isUtf8 } from 'node:buffer';
import type { CommandEvent, Outcome, Shellvisor } from '../client/index.ts';
import { exitCodeOf, FAILURE, INTERRUPTED, STOPPED } from './exit-codes.ts';
import { outcomeInWords } from './show.ts';
import { ProgressBar, ReaderGone, write } from './terminal.ts';

/**
 * Shows the output of a command of ours as it comes, and stops it at SIGINT or SIGTERM; a second one leaves at once.
 * @returns the exit code of the script, or what stands for it.
 */
export async function followOurs(client: Shellvisor, uuid: string, json: boolean): Promise<number> {
  if (json) await write(process.stdout, `${JSON.stringify({ type: 'created', uuid })}\n`);
  const bar = new ProgressBar();
  let isInterrupted = false;
  const stop = () => {
    bar.hide();
    if (isInterrupted) process.exit(INTERRUPTED);
    isInterrupted = true;
    process.stderr.write(`\nshellvisor: stopping ${uuid}; once more to leave it alone\n`);
    client.stop(uuid).catch((error: Error) => {
      process.stderr.write(`shellvisor: it was not stopped: ${error.message}\n`);
    });
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    const code = await (json ? followAsJson(client, uuid) : followToEnd(client, uuid, bar));
    return isInterrupted && code === STOPPED ? INTERRUPTED : code;
  } catch (error) {
    // As SIGPIPE would end it, did it run here.
    if (error instanceof ReaderGone) await client.stop(uuid);
    throw error;
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

/** Shows the output of a command from its beginning, until it ends. @returns as `followOurs`. */
export async function followToEnd(client: Shellvisor, uuid: string, bar = new ProgressBar()): Promise<number> {
  return codeOf(await showEvents(client.follow(uuid), bar));
}

/** Prints what happens to a command as a line of JSON each. */
export async function followAsJson(client: Shellvisor, uuid: string): Promise<number> {
  let code = FAILURE;
  for await (const event of client.follow(uuid)) {
    const { type, ...rest } = event;
    const content = event.type === 'output' ? { bytes: undefined, ...contentOf(Buffer.from(event.bytes)) } : {};
    await write(process.stdout, `${JSON.stringify({ type, ...rest, ...content })}\n`);
    if (event.type === 'end') code = exitCodeOf(event);
  }
  return code;
}

const contentOf = (bytes: Buffer) =>
  isUtf8(bytes) ? { text: bytes.toString() } : { base64: bytes.toString('base64') };

function codeOf(outcome: Outcome | null): number {
  if (outcome === null) return FAILURE;
  // What the script itself has said needs no words of ours.
  if (outcome.reason !== 'exit') process.stderr.write(`shellvisor: the command ${outcomeInWords(outcome)}\n`);
  return exitCodeOf(outcome);
}

async function showEvents(events: AsyncIterable<CommandEvent>, bar: ProgressBar): Promise<Outcome | null> {
  let outcome: Outcome | null = null;
  try {
    for await (const event of events) {
      switch (event.type) {
        case 'output':
          await bar.above(event.stream === 'stdout' ? process.stdout : process.stderr, event.bytes);
          break;
        case 'gap':
          bar.hide();
          process.stderr.write(`\nshellvisor: ${event.bytes} bytes were dropped here\n`);
          break;
        case 'status':
        case 'steps':
          break;
        case 'progress':
          bar.set(event);
          break;
        case 'end':
          outcome = event;
          break;
        default:
          event satisfies never;
      }
    }
  } finally {
    bar.hide();
  }
  return outcome;
}
