/** Scripts of the oracle, sent to servers, stopped and deleted; and the judgement on all of them. */
import { join } from 'node:path';
import {
  compareEnded,
  compareLost,
  compareRerun,
  compareStopped,
  type Difference,
  type OracleSpec,
  oracleScript,
  type Printed,
  processesOf,
  readPrinted,
  readStored,
  type Stored,
  wholeOutput,
} from '../test/helpers/oracle.ts';
import { faultOf } from '../test/helpers/path.ts';
import type { Round } from './fault.ts';
import { type Answer, type Ground, SENDER, STOPPER } from './ground.ts';

/** A command that was sent, and what was answered. */
export interface Sent {
  name: string;
  spec: OracleSpec;
  durable: boolean;
  /** Whether it is to run again when its node is lost. */
  mayRerun: boolean;
  /** Null: no answer, so that nobody knows whether it is stored. */
  answer: Answer;
  /** What else was asked. */
  asked?: { what: 'stop' | 'delete'; answer: Answer };
}

/** A row of `commands`. */
interface Row {
  uuid: string;
  status: string;
  reason: string;
  created_by: string | null;
  stopped_by: string | null;
  exit_code: number | null;
  output_bytes: number;
  node: string | null;
  reruns: number;
}

/** What faults have cut off, and which therefore may be lost. */
export interface CutOff {
  /** What was stored of it before, by uuid. */
  before?: ReadonlyMap<string, Stored>;
  /** The names of nodes that are gone: what these ran may be lost, and nothing else. Undefined: all of `before` is. */
  nodes?: ReadonlySet<string>;
}

export type Volume = 'short' | 'paced' | 'loud' | 'long';

/** What scripts of each kind print. All take below 10 MiB. */
/** In quick rounds scripts print this part of it: loud ones still more than a window. */
const QUICK_PART = 0.4;

const VOLUMES: Record<Volume, Pick<OracleSpec, 'lines' | 'filler' | 'pauseEvery' | 'pauseMs'>> = {
  short: { lines: 4, filler: 20, pauseEvery: 0, pauseMs: 0 },
  long: { lines: 1000, filler: 50, pauseEvery: 5, pauseMs: 20 },
  paced: { lines: 300, filler: 50, pauseEvery: 5, pauseMs: 20 },
  loud: { lines: 5000, filler: 1000, pauseEvery: 300, pauseMs: 20 },
};

export class Load {
  readonly sent: Sent[] = [];
  readonly #world: Ground;
  readonly #round: Round;

  constructor(world: Ground, round: Round) {
    this.#world = world;
    this.#round = round;
  }

  /** Sends a command once; whether it is stored when no answer comes is for `judge` to find out. */
  async send(volume: Volume, durable: boolean, spec: Partial<OracleSpec> = {}, mayRerun = false): Promise<Sent> {
    const name = `${volume}-${durable ? 'durable' : 'regular'}-${this.sent.length + 1}`;
    const side = join(this.#world.folder, name);
    const { quick, random } = this.#round;
    const lines = VOLUMES[volume].lines * (quick ? QUICK_PART : 1);
    const sent: Sent = {
      name,
      durable,
      mayRerun,
      answer: null,
      spec: { side, ...VOLUMES[volume], lines: Math.ceil(lines), exitCode: random.pick([0, 3, 7]), ...spec },
    };
    this.sent.push(sent);
    const path = durable ? '/api/v1/durables/commands' : '/api/v1/commands';
    const body = { script: oracleScript(sent.spec), description: name, ...(mayRerun && { on_lost: 'rerun' }) };
    sent.answer = await this.#world.request('POST', path, body);
    return sent;
  }

  async ask(sent: Sent, what: 'stop' | 'delete'): Promise<void> {
    if (sent.answer?.status !== 201) return;
    const asked: Sent['asked'] = { what, answer: null };
    sent.asked = asked;
    const path = `/api/v1/commands/${sent.answer.body.uuid}`;
    asked.answer = await this.#world.request(what === 'stop' ? 'PATCH' : 'DELETE', path, undefined, STOPPER);
  }

  /** Waits until all have ended, and counts what is wrong with them. */
  async judge(cutOff: CutOff = {}): Promise<void> {
    await this.#world.calm();
    const { rows } = await this.#world.query(
      `SELECT description, command_uuid AS uuid, status, reason, created_by, stopped_by, exit_code, output_bytes::int, node, reruns
       FROM commands`,
    );
    const byName = new Map<string, Row>(rows.map(({ description, ...row }) => [description, row]));
    for (const sent of this.sent) {
      await new Judgement(this.#world, this.#round, sent, byName.get(sent.name), cutOff).pronounce();
    }
  }
}

/**
 * How a command ended, in the words of the judgement. `not begun`: its server shut down, since the launcher was gone,
 * before the script was launched.
 */
type End = 'by itself' | 'stopped' | 'lost' | 'not begun';

const NOTHING: Stored = { stdout: '', stderr: '', seamless: true };

class Judgement {
  readonly #world: Ground;
  readonly #round: Round;
  readonly #sent: Sent;
  readonly #row: Row | undefined;
  readonly #cutOff: CutOff;
  readonly #printed: Printed;

  constructor(world: Ground, round: Round, sent: Sent, row: Row | undefined, cutOff: CutOff) {
    this.#world = world;
    this.#round = round;
    this.#sent = sent;
    this.#row = row;
    this.#cutOff = cutOff;
    this.#printed = readPrinted(sent.spec.side);
  }

  async pronounce(): Promise<void> {
    const { runs } = this.#printed;
    const mayRun = 1 + (this.#sent.mayRerun ? (this.#row?.reruns ?? 1) : 0);
    this.#find('double runs', Math.max(0, runs - mayRun), `at most ${mayRun} runs`, `${runs} runs`);
    for (const { status } of [this.#sent.answer, this.#sent.asked?.answer].filter((answer) => answer != null)) {
      if (status >= 400 && ![404, 409, 503].includes(status))
        this.#wrong('no such answer', `it was answered ${status}`);
    }
    if (this.#row === undefined) return this.#missing();
    const { uuid } = this.#row;
    const left = processesOf(uuid);
    this.#find('survivors', left.length, 'no process', `processes ${left.join(', ')}`);
    const { answer, asked } = this.#sent;
    if (answer !== null && answer.status !== 201)
      this.#wrong(`not stored: ${answer.status} was answered`, 'it is stored');
    if (asked?.what === 'delete' && asked.answer?.status === 204) this.#wrong('deleted', 'it is stored');
    const end = this.#end(this.#row);
    if (end === null) this.#wrong(this.#allowed().join(' or '), describe(this.#row));
    const { created_by: sender, stopped_by: stopper, reason } = this.#row;
    const names = `by ${SENDER}, stopped by ${reason === 'stop' ? STOPPER : null}`;
    const found = `by ${sender}, stopped by ${stopper}`;
    if (found !== names) this.#wrong(names, found);
    const stored = await readStored(this.#world, uuid);
    this.#compare(end ?? 'stopped', stored);
    const path = await this.#world.insist('GET', `/api/v1/commands/${uuid}/transitions`);
    const fault = path.status === 200 ? faultOf(path.body, this.#row.status) : `the answer ${path.status}`;
    if (fault !== null) this.#wrong('a path to its end, without a gap', fault);
  }

  /** It is not in the database. */
  #missing(): void {
    const { answer, asked } = this.#sent;
    const { runs, stdout, stderr } = this.#printed;
    const deleted = asked?.what === 'delete' && (asked.answer === null || asked.answer.status !== 409);
    if (answer?.status === 201 && !deleted) {
      this.#wrong('it is stored: 201 was answered', 'it is gone');
      this.#find('bytes lost', stdout.length + stderr.length, 'all that it printed', 'nothing');
    }
    // Told that nothing was stored, a client may send it again.
    if (answer?.status !== 201 && runs > 0) this.#wrong('it never ran, since it is not stored', 'it ran');
  }

  /** How it may have ended. */
  #allowed(): End[] {
    const { before, nodes } = this.#cutOff;
    if (nodes === undefined && this.#row !== undefined && before?.has(this.#row.uuid)) return ['lost'];
    const { asked, mayRerun } = this.#sent;
    const unasked: End[] = before === undefined ? ['by itself'] : ['by itself', 'not begun'];
    if (asked?.what === 'stop' && asked.answer?.status === 200) return ['stopped'];
    const mayBeLost = nodes?.has(this.#row?.node ?? '') && (!mayRerun || asked !== undefined);
    const alone: End[] = mayBeLost ? [...unasked, 'lost'] : unasked;
    if (asked === undefined || (asked.what === 'stop' && asked.answer?.status === 409)) return alone;
    return [...alone, 'stopped'];
  }

  /** How it has ended; null: not as it may. */
  #end({ status, reason, exit_code }: Row): End | null {
    const { exitCode } = this.#sent.spec;
    const ends: Record<End, boolean> = {
      'by itself': status === (exitCode === 0 ? 'EXECUTED' : 'FAILED') && reason === 'exit' && exit_code === exitCode,
      stopped: status === 'STOPPED' && reason === 'stop',
      lost: status === 'FAILED' && reason === 'lost' && exit_code === null,
      'not begun': status === 'STOPPED' && reason === 'shutdown' && this.#printed.runs === 0,
    };
    return this.#allowed().find((end) => ends[end]) ?? null;
  }

  #compare(end: End, stored: Stored): void {
    const { spec } = this.#sent;
    const difference = this.#difference(end, stored);
    this.#find('bytes lost', difference.lost, 'all that it printed', `${difference.lost} bytes missing`);
    this.#find('bytes doubled', difference.doubled, 'only what it printed', `${difference.doubled} bytes too many`);
    if (difference.disordered) this.#wrong('lines in the order in which they were printed', 'another order');
    if (!stored.seamless) this.#wrong('pieces that follow upon each other', 'pieces with gaps or overlaps');
    const bytes = stored.stdout.length + stored.stderr.length;
    if (this.#row?.output_bytes !== bytes) this.#wrong(`output_bytes ${bytes}`, `${this.#row?.output_bytes}`);
    const whole = wholeOutput(spec, 'stdout').length + wholeOutput(spec, 'stderr').length;
    const printed = this.#printed.stdout.length + this.#printed.stderr.length;
    if (end === 'by itself' && this.#row?.reruns === 0 && printed !== whole)
      this.#wrong(`it prints ${whole} bytes`, `it printed ${printed}`);
  }

  #difference(end: End, stored: Stored): Difference {
    const { spec } = this.#sent;
    if ((this.#row?.reruns ?? 0) > 0) return compareRerun(spec, stored, end === 'by itself');
    switch (end) {
      case 'by itself':
      case 'not begun':
        return compareEnded(stored, this.#printed);
      case 'stopped':
        return compareStopped(spec, stored, this.#printed);
      case 'lost':
        return compareLost(spec, stored, this.#cutOff.before?.get(this.#row?.uuid ?? '') ?? NOTHING);
      default:
        return end satisfies never;
    }
  }

  #wrong(expected: string, found: string): void {
    this.#find('wrong outcomes', 1, expected, found);
  }

  #find(count: Parameters<Round['tally']['find']>[0], amount: number, expected: string, found: string): void {
    const uuid = this.#row?.uuid ?? 'no row';
    this.#round.tally.find(count, amount, `${this.#sent.name} (${uuid})`, expected, found);
  }
}

const describe = ({ status, reason, exit_code }: Row) => `${status}, reason ${reason}, exit code ${exit_code}`;
