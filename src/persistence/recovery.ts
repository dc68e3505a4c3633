/** What a new server does with the commands that servers before it left behind. */
import { setTimeout as delay } from 'node:timers/promises';
import type { DatabasePool } from 'slonik';
import type { LivingScript, ProcessRunner } from '../ports/process.ts';
import type { Claim } from './claim.ts';
import type { Connection } from './sql/connection.ts';
import { fenceNode, presentNodes } from './sql/nodes.ts';
import {
  adoptQueued,
  type ExecutingCommand,
  executingOf,
  loseExecuting,
  NOBODY,
  otherOwners,
  queuedOf,
  type WaitingCommand,
} from './sql/owners.ts';
import { appendStarts } from './sql/transitions.ts';

/**
 * How long to wait for the lock of a server that may be gone, in ms: PostgreSQL notices the end of a killed server's
 * connection a moment later. Past that it counts as alive, and keeps its commands.
 */
const PATIENCE_MS = 2000;
/**
 * How long we hold the lock of a server that seems to be gone before we believe it, in ms. One that lives and has only
 * lost its connection, since PostgreSQL was restarted, wants it back within a second or so.
 */
const DOUBT_MS = 2000;
/** The same for the nodes of a cluster, all of which are gone. One may be starting again, and all that waits is theirs. */
const NODE_DOUBT_MS = 10_000;

export interface Recovered {
  /** Commands that execute, whose scripts outlived the server before this one. */
  living: (ExecutingCommand & LivingScript)[];
  /** Commands that wait to be run, oldest first. */
  queued: WaitingCommand[];
  /** How many commands were found cut off and are `FAILED`/`lost` now. */
  lost: number;
  /** How many of their processes still lived, and were killed. */
  killed: number;
}

type Runner = Pick<ProcessRunner, 'living' | 'forget' | 'killLeftovers'>;

/**
 * Takes up the commands of this owner, if a server before this one had the same number, and takes over those of servers
 * that are gone: what these had running is killed and becomes `lost`, what waited there waits here. In a cluster the nodes
 * do the latter for each other.
 */
export async function recover(
  pool: DatabasePool,
  claim: Claim,
  runner: Runner,
  isInCluster = false,
): Promise<Recovered> {
  const own = await takeUpOwn(pool, claim, runner);
  const gone = isInCluster ? { lost: 0, killed: 0 } : await takeOverOthers(pool, claim, runner);
  return { living: own.living, queued: [...own.unstarted, ...(await queuedOf(pool, claim.owner))], ...gone };
}

/**
 * Takes the locks of all nodes, if none is there any more that could take what waits for any of them. @returns them; undefined
 * when there is one, or one that is only starting again.
 */
async function takeCluster(pool: DatabasePool, claim: Claim): Promise<number[] | undefined> {
  const nodes = await presentNodes(pool);
  const held: number[] = [];
  const patience = performance.now() + PATIENCE_MS;
  for (const owner of nodes) {
    if (!(await claim.takeOver(owner, patience - performance.now()))) break;
    held.push(owner);
  }
  const left = held.length < nodes.length ? [] : await claim.areLeft(held, NODE_DOUBT_MS);
  if (left.length === nodes.length) return held;
  for (const owner of held) await claim.release(owner);
  return undefined;
}

/** The launcher is the same as before, so it knows of every script of ours whether it was started. */
async function takeUpOwn(pool: DatabasePool, claim: Claim, runner: Runner) {
  await appendStarts(pool, claim.owner);
  const executing = await executingOf(pool, claim.owner);
  const living: Recovered['living'] = [];
  const unstarted: WaitingCommand[] = [];
  for (const command of executing) {
    const script = runner.living.get(command.uuid);
    if (script !== undefined) living.push({ ...command, ...script });
    // Marked as executing, but the server ended before it could tell the launcher: it has never run.
    else unstarted.push(command);
  }
  // What the database knows as ended, or not at all, the server before us only had no time to forget.
  const known = new Set(executing.map(({ uuid }) => uuid));
  for (const uuid of runner.living.keys()) if (!known.has(uuid)) runner.forget(uuid);
  return { living, unstarted };
}

async function takeOverOthers(pool: DatabasePool, claim: Claim, runner: Runner) {
  const cluster = await takeCluster(pool, claim);
  // One that comes back after all begins anew.
  for (const owner of cluster ?? []) await fenceNode(pool, owner);
  let lost = 0;
  let killed = 0;
  for (const owner of await takeLocks(pool, claim, cluster === undefined ? await presentNodes(pool) : [])) {
    const { isHeld, isWanted } = await claim.lookAtLock(owner);
    // Our connection was lost meanwhile, and with it the lock: its server may have it again.
    if (!isHeld) continue;
    if (!isWanted) {
      const found = await endOwner(pool, claim, runner, owner);
      await takeFrom(pool, owner, claim.owner);
      killed += found.killed;
      lost += found.executing;
    }
    await claim.release(owner);
  }
  if (cluster !== undefined) {
    await adoptAll(pool, NOBODY, claim.owner);
    for (const owner of cluster) await claim.release(owner);
  }
  return { lost, killed };
}

/**
 * Ends an owner that is gone, whose lock we hold: what it may have under way in PostgreSQL, and what it left running here.
 * @returns how much that was.
 */
export async function endOwner(
  pool: DatabasePool,
  claim: Claim,
  runner: Pick<Runner, 'killLeftovers'>,
  owner: number,
): Promise<{ executing: number; killed: number }> {
  await claim.endWriters(owner);
  const executing = (await executingOf(pool, owner)).map(({ uuid }) => uuid);
  // Killed first: once `lost` shows, nothing of the command lives.
  const killed = await runner.killLeftovers(executing);
  return { executing: executing.length, killed };
}

/**
 * Takes all that an owner has left and that can be run, in transactions of some of it each.
 * @param taken does what belongs to that, within the transaction.
 */
export async function takeFrom(
  pool: DatabasePool,
  owner: number,
  to: number,
  taken: (db: Connection, commands: readonly WaitingCommand[]) => Promise<void> = async () => {},
): Promise<void> {
  await pool.transaction(async (db) => {
    await appendStarts(db, owner);
    await taken(db, await loseExecuting(db, owner, to));
  });
  await adoptAll(pool, owner, to, taken);
}

/** Takes what waits at an owner. */
export async function adoptAll(
  pool: DatabasePool,
  owner: number,
  to: number,
  taken: (db: Connection, commands: readonly WaitingCommand[]) => Promise<void> = async () => {},
): Promise<void> {
  for (let count = 1; count > 0; ) {
    count = await pool.transaction(async (db) => {
      const commands = await adoptQueued(db, owner, to);
      await taken(db, commands);
      return commands.length;
    });
  }
}

/**
 * Takes the locks of all owners whose servers seem to be gone, and holds each until one that lives would want it.
 * @param nodes are left out: they look after each other, and one may only be restarting.
 */
async function takeLocks(pool: DatabasePool, claim: Claim, nodes: readonly number[]): Promise<number[]> {
  const taken: number[] = [];
  const patience = performance.now() + PATIENCE_MS;
  let doubt = 0;
  for (;;) {
    let alive = 0;
    for (const owner of await otherOwners(pool, claim.owner)) {
      if (taken.includes(owner) || nodes.includes(owner)) continue;
      if (!(await claim.takeOver(owner))) alive++;
      else {
        taken.push(owner);
        if (!claim.isAlone) doubt = performance.now() + DOUBT_MS;
      }
    }
    const now = performance.now();
    if ((alive === 0 || now > patience) && now >= doubt) return taken;
    await delay(50);
  }
}
