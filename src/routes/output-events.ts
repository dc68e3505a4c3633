/**
 * The output of a command as Server-Sent Events. The `id` of each says where to go on after it, by the bytes alone, so any
 * server can at any time: `120`, the place behind all that was sent; or `120-98`, where before that place a character is
 * not whole yet, that begins at 98, and bytes of the other stream came in between.
 */
import { isUtf8 } from 'node:buffer';
import { z } from 'zod';
import { isSameProgress } from '../command.ts';
import { CommandNotFound } from '../errors.ts';
import type { CommandReader, OutputPart, OutputPiece } from '../ports/reader.ts';
import { type Place, type Run, WholeCharacters } from './characters.ts';
import { event, Heartbeat, preamble } from './event-stream.ts';
import { partsOf, type Source, type Wanted } from './following.ts';
import { summaryBody } from './schemas.ts';

/** Most bytes of output that one event carries. JSON makes up to six of one. */
const EVENT_BYTES = 16 * 1024;

const PLACE = /^(\d{1,15})(?:-(\d{1,15}))?$/;

/** A place as clients give it back, in a query or a header. */
export function placeParameter(name: string) {
  const message = `${name} must be the id of an event, such as 120: the place of a byte`;
  return z
    .string(message)
    .refine((text) => {
      const [, at, held = at] = PLACE.exec(text) ?? [];
      return at !== undefined && Number(held) <= Number(at);
    }, message)
    .transform((text): Place => {
      const [, at, held = at] = PLACE.exec(text) ?? [];
      return { at: Number(at), held: Number(held) };
    })
    .meta({ type: 'string', pattern: PLACE.source, examples: ['120'] });
}

const idOf = ({ at, held }: Place) => (held < at ? `${at}-${held}` : `${at}`);

/** Behind the end: who has been sent the event `end` is told apart from who has only been sent all output. */
const endOf = (part: OutputPart) => part.upTo + 1;

/** Whether whoever comes with this place has seen the end of the command. */
export function hasSeenEnd(part: OutputPart, { at }: Place): boolean {
  return part.ended && at >= endOf(part);
}

/**
 * Gives the events of a command from a place on, until it ends; `now` is for tests.
 * @throws when it can't go on to the end, see `partsOf`.
 */
export async function* outputEvents(
  source: Source,
  summary: () => ReturnType<CommandReader['summary']>,
  wanted: Omit<Wanted, 'from' | 'before' | 'follow'>,
  from: Place,
  now?: () => number,
): AsyncGenerator<string> {
  const heartbeat = new Heartbeat(now);
  const characters = await charactersAt(source, wanted, from);
  let last: Standing | undefined;
  let steps = 0;
  let at = from.at;
  yield preamble;
  for await (const part of partsOf(source, { ...wanted, from: at, before: Number.MAX_SAFE_INTEGER, follow: true })) {
    if (part !== null) {
      const { status, progress } = part;
      for (const [name, data] of newsOf(part, last)) yield heartbeat.sent(event(name, idOf(characters.place), data));
      last = { status, progress };
      const path = (await stepsNow(source)) ?? [];
      if (path.length > steps) yield heartbeat.sent(event('steps', idOf(characters.place), { steps: path }));
      steps = Math.max(steps, path.length);
    }
    let text = '';
    for (const piece of part?.pieces ?? []) {
      if (piece.offset > at) text += gapEvents(characters, at, piece.offset);
      for (const run of runsOf(piece)) {
        text += outputEvent(characters.take(run), characters);
        if (text.length < EVENT_BYTES) continue;
        yield heartbeat.sent(text);
        text = '';
      }
      at = piece.offset + piece.length;
      if (piece.bytes.length === 0) characters.skip(at);
    }
    if (part?.ended && (part.pieces.length === 0 || at >= part.upTo)) {
      text += at < part.upTo ? gapEvents(characters, at, part.upTo) : restEvents(characters);
      const ended = await summary();
      if (ended === null) throw new CommandNotFound();
      text += event('end', `${endOf(part)}`, summaryBody(ended));
    }
    yield* text === '' ? heartbeat.beat() : [heartbeat.sent(text)];
  }
}

/** What of a command its output does not show. */
type Standing = Pick<OutputPart, 'status' | 'progress'>;

/** What is new in it, by the names of the events. */
function newsOf({ status, progress }: Standing, last: Standing | undefined): [name: string, data: object][] {
  const isNew = progress !== null && !isSameProgress(progress, last?.progress ?? null);
  const news: [string, object][] = isNew ? [['progress', progress]] : [];
  if (last === undefined) return [['status', { status }], ...news];
  // What it told it told before its status changed.
  return status === last.status ? news : [...news, ['status', { status }]];
}

/** Undefined: nobody wants them, or the database did not answer. There will be another time. */
async function stepsNow({ readSteps, mayPass }: Source): Promise<readonly object[] | undefined> {
  return readSteps?.().catch((error) => {
    if (mayPass(error)) return undefined;
    throw error;
  });
}

/** A piece in parts that are not too large for an event. */
function* runsOf({ stream, offset, bytes }: OutputPiece): Generator<Run> {
  for (let start = 0; start < bytes.length; start += EVENT_BYTES) {
    yield { stream, offset: offset + start, bytes: bytes.subarray(start, start + EVENT_BYTES) };
  }
}

/** What of the output before a place is held back, read anew. */
async function charactersAt({ read }: Source, { stream }: Pick<Wanted, 'stream'>, { at, held }: Place) {
  const characters = new WholeCharacters(held);
  for (let from = held; from < at; ) {
    const { pieces } = await read({ from, before: at, stream });
    for (const piece of pieces) {
      if (piece.bytes.length > 0) characters.take(piece);
      from = piece.offset + piece.length;
    }
    // What was held was dropped meanwhile.
    if (pieces.length === 0) break;
  }
  characters.skip(at);
  return characters;
}

function outputEvent(run: Run | null, { place }: WholeCharacters): string {
  if (run === null) return '';
  const { stream, offset, bytes } = run;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const content = isUtf8(buffer) ? { text: buffer.toString() } : { base64: buffer.toString('base64') };
  return event('output', idOf(place), { stream, offset, ...content });
}

function restEvents(characters: WholeCharacters): string {
  let text = '';
  for (const rest of characters.rests()) text += outputEvent(rest, characters);
  return text;
}

/** What lies between is not kept; nor will be the rest of any character. */
function gapEvents(characters: WholeCharacters, from: number, upTo: number): string {
  const text = restEvents(characters);
  characters.skip(upTo);
  return text + event('gap', idOf(characters.place), { offset: from, bytes: upTo - from });
}
