/**
 * One script that runs, from its file to the end of its process tree.
 *
 *   preparing ── spawned ──▶ running ── bash exits ──▶ settling ── tree empty, pipes read ──▶ ended
 *       └─ spawn fails or already stopped ────────────────────────────────────────────────────▲
 *
 * Invariants:
 * - bash stays an unreaped zombie until the tree is dead, so its process id, which is also the id of its group and
 *   session, can't be given to another process that we would then signal.
 * - What was written to the pipes before the end is read to its last byte, however long the journal makes us wait. The end
 *   waits for nobody who holds the pipe of the progress: what is in it then is read, and it is closed.
 * - `ended` does not wait for ever on a pipe that a process outside of the tree holds, silent or writing.
 */
import { mkdirSync } from 'node:fs';
import { chown, type FileHandle, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessEnd, Progress, Stream } from '../command.ts';
import { GATE_FD } from '../os/child-process.ts';
import type { ProcessTree, ProcessTrees } from '../os/process-trees.ts';
import type { Child, Spawner } from '../os/spawn.ts';
import type { WaitStatus } from '../os/wait.ts';
import type { OutputSink, ProcessSpec, RunningProcess, ScriptAccount } from '../ports/process.ts';
import { folderModeFor } from './account.ts';
import { clientVariables, commandEnvironment } from './environment.ts';
import { folderProblem } from './folder.ts';
import { type LimitMeans, limitedStart } from './limits.ts';
import { Mask } from './mask.ts';
import type { ProgressPipes } from './progress-pipes.ts';
import type { Prologue } from './prologue.ts';
import { type SandboxMeans, sandboxEnvironment, sandboxed } from './sandbox.ts';
import { openStdin } from './stdin.ts';
import type { WorkFolders } from './work-folders.ts';

/** Where the script of a command is put while it runs. */
export function scriptFile(scriptsDir: string, uuid: string): string {
  return join(scriptsDir, `${uuid}.sh`);
}

/** What all scripts of a runner share. */
export interface ScriptSetup {
  /** How scripts are started, in a few words. */
  description: string;
  /** The user that they run as; undefined: ours. */
  account: ScriptAccount | undefined;
  spawner: Spawner;
  trees: ProcessTrees;
  limits: LimitMeans;
  /** Null: no sandbox can be made. */
  sandbox: SandboxMeans | null;
  /** Whether every script runs in one. */
  sandboxAlways: boolean;
  /** What whoever runs the server should know of this machine. */
  warnings: readonly string[];
  progress: ProgressPipes;
  prologue: Prologue;
  /** Absolute path of bash. */
  bash: string;
  /** The clean environment. */
  env: Record<string, string>;
  /** Where script files are put while they run. */
  scriptsDir: string;
  work: WorkFolders;
}

/**
 * After bash has exited, how long we wait for others that still hold its pipes, in ms: time for the last lines of a
 * `> >(tee log)`. Then what is left of the tree is killed.
 */
const DRAIN_MS = 1000;

/**
 * Once the tree is dead: how long we read on in a pipe that someone outside of it holds, in ms. What the tree has written
 * is in the pipe by then, 64 KiB at most (pipe(7)); time during which the sink has no room does not count.
 */
const LAST_READ_MS = 500;

export class ScriptProcess implements RunningProcess {
  readonly started: Promise<number | null>;
  readonly ended: RunningProcess['ended'];
  onProgress: (progress: Progress) => void = () => {};
  readonly #setup: ScriptSetup;
  readonly #spec: ProcessSpec;
  readonly #output: OutputSink;
  readonly #file: string;
  #tree: ProcessTree | undefined;
  #wanted: 'run' | 'terminate' | 'kill' = 'run';
  #onStop: () => void = () => {};

  constructor(setup: ScriptSetup, spec: ProcessSpec, output: OutputSink) {
    this.#setup = setup;
    this.#spec = spec;
    this.#output = output;
    this.#file = scriptFile(setup.scriptsDir, spec.uuid);
    const started = Promise.withResolvers<number | null>();
    this.started = started.promise;
    this.ended = this.#run(started.resolve).finally(() => unlink(this.#file).catch(() => {}));
  }

  terminate(): void {
    if (this.#wanted !== 'run') return;
    this.#wanted = 'terminate';
    this.#tree?.terminate();
    this.#onStop();
  }

  kill(): void {
    if (this.#wanted === 'kill') return;
    this.#wanted = 'kill';
    this.#tree?.kill();
    this.#onStop();
  }

  async #run(started: (pid: number | null) => void): RunningProcess['ended'] {
    const { account, spawner, trees, limits, prologue, work, env } = this.#setup;
    const { uuid, options, inputs, secretEnv } = this.#spec;
    let child: Child | undefined;
    let stdin: FileHandle | undefined;
    let startedAt = 0;
    try {
      await this.#writeFile();
      // Of another user's the prologue sees it as that user.
      const problem = inputs.cwd === undefined || account !== undefined ? null : await folderProblem(inputs.cwd);
      if (problem !== null) throw new Error(problem);
      if (inputs.stdin !== undefined) stdin = await openStdin(`${this.#file}.stdin`, inputs.stdin, account);
      if (this.#stopWanted()) return { end: { kind: 'not_started' }, durationMs: null };
      const { prefix, environment, group } = limitedStart(options, limits);
      this.#tree = await trees.open(uuid, options.keepBackground === true, group);
      const cwd = inputs.cwd ?? work.make(uuid);
      const shell = this.#shell(cwd);
      const isInSandbox = shell.length > 1;
      // In a sandbox there is no other.
      const temporary: Record<string, string> = isInSandbox && env.TMPDIR !== undefined ? { TMPDIR: '/tmp' } : {};
      const given = { ...inputs.env, ...secretEnv };
      const { admit } = this.#tree;
      const forPrologue = {
        ...this.#tree.environment,
        ...environment,
        ...(admit !== undefined && { SHELLVISOR_GATE_FD: `${GATE_FD}` }),
        // Whether it may enter a folder the kernel has to say to that user, not to us.
        ...(account !== undefined && { SHELLVISOR_CWD: cwd }),
      };
      const commandEnv = commandEnvironment(
        { ...env, ...temporary },
        isInSandbox ? {} : given,
        uuid,
        prologue.file,
        forPrologue,
      );
      const [program = '', ...args] = [...prefix, ...shell, this.#file, ...(inputs.args ?? [])];
      startedAt = performance.now();
      child = await spawner.spawn(program, args, {
        cwd: account === undefined ? cwd : '/',
        env: commandEnv,
        stdin: stdin?.fd,
        handed: isInSandbox ? sandboxEnvironment(clientVariables(given)) : undefined,
        admit,
      });
    } catch (error) {
      this.#tree?.close();
      work.release(uuid, true);
      return { end: { kind: 'spawn_error', message: `starting bash: ${(error as Error).message}` }, durationMs: null };
    } finally {
      await stdin?.close();
      started(child?.pid ?? null);
    }
    return this.#follow(child, this.#tree, startedAt);
  }

  /** What the script is given to: bash, in a sandbox or not. */
  #shell(cwd: string): string[] {
    const { bash, sandbox: means, sandboxAlways } = this.#setup;
    const { options, inputs } = this.#spec;
    const sandbox = options.sandbox ?? (sandboxAlways ? { network: false } : undefined);
    if (sandbox === undefined) return [bash];
    if (means === null) throw new Error('there is no sandbox here');
    const work = inputs.cwd === undefined ? cwd : undefined;
    return sandboxed({ ...sandbox, script: this.#file, work, cwd, memory: options.maxMemoryBytes }, means);
  }

  /** By file: a single argument may have 128 KiB at most, and `$0` is to be what `bash script.sh` makes of it. */
  async #writeFile(): Promise<void> {
    const { account, scriptsDir, prologue } = this.#setup;
    // A script may have removed the folder; the next one shall not suffer for it.
    mkdirSync(scriptsDir, { recursive: true, mode: folderModeFor(account) });
    prologue.ensure();
    await writeFile(this.#file, this.#spec.script, { mode: 0o600 });
    if (account !== undefined) await chown(this.#file, account.uid, account.gid);
  }

  async #follow(child: Child, tree: ProcessTree, startedAt: number): RunningProcess['ended'] {
    tree.leader = child.pid;
    // A stop may have come while the spawn was under way.
    if (this.#wanted === 'kill') tree.kill();
    else if (this.#wanted === 'terminate') tree.terminate();
    const secrets = Object.values(this.#spec.secretEnv);
    const pipes = new PipePair(child, this.#output, secrets);
    const progress = this.#setup.progress.follow(child.side, secrets, (told) => this.onProgress(told));
    const status = await child.exited;
    if (!child.isHeld) tree.leader = undefined;
    await this.#settle(tree, pipes);
    const durationMs = Math.round((performance.now() - startedAt) * 10) / 10;
    await progress.end();
    this.#setup.work.release(this.#spec.uuid, this.#spec.options.keepBackground !== true || tree.isEmpty);
    tree.close();
    child.reap();
    return { end: endOf(status), durationMs };
  }

  /** After bash's exit: waits for the rest of its tree, or ends it, and reads what is still in the pipes. */
  async #settle(tree: ProcessTree, pipes: PipePair): Promise<void> {
    const stop = new Promise<void>((resolve) => {
      this.#onStop = resolve;
    });
    const drained = Promise.withResolvers<void>();
    const timer = setTimeout(drained.resolve, DRAIN_MS);
    if (!this.#stopWanted()) await Promise.race([pipes.closed, drained.promise, stop]);
    clearTimeout(timer);
    const stopping = this.#stopWanted();
    // What a script has left in the background ends with it, unless it shall stay; what is stopped has its grace first.
    const ends = stopping || this.#spec.options.keepBackground !== true;
    if (ends && !tree.isEmpty) await tree.untilEmpty(() => !stopping || this.#wanted === 'kill');
    if (!pipes.areClosed) await pipes.readRest(LAST_READ_MS);
  }

  #stopWanted(): boolean {
    return this.#wanted !== 'run';
  }
}

function endOf(status: WaitStatus): ProcessEnd {
  if (status.signal !== null) return { kind: 'signalled', signal: status.signal };
  return { kind: 'exited', exitCode: status.exitCode };
}

/** One of the pipes of a script. */
interface Pipe {
  stream: Stream;
  readable: Readable;
  /** Undefined where there are no secrets. */
  mask: Mask | undefined;
}

/** The two pipes of a script, read into its sink, its secrets masked; both pause while the sink has no room. */
class PipePair {
  readonly closed: Promise<unknown>;
  areClosed = false;
  readonly #pipes: Pipe[];
  readonly #output: OutputSink;
  #paused = false;

  constructor(child: Child, output: OutputSink, secrets: readonly string[]) {
    this.#output = output;
    const maskOf = () => (secrets.length === 0 ? undefined : new Mask(secrets));
    this.#pipes = [
      { stream: 'stdout', readable: child.stdout, mask: maskOf() },
      { stream: 'stderr', readable: child.stderr, mask: maskOf() },
    ];
    output.onDrain = () => {
      this.#paused = false;
      for (const { readable } of this.#pipes) readable.resume();
    };
    for (const { stream, readable, mask } of this.#pipes) {
      readable.on('data', (bytes: Buffer) => this.#write(stream, mask === undefined ? bytes : mask.push(bytes)));
      readable.on('error', () => readable.destroy());
    }
    const ends = this.#pipes.map(async (pipe) => {
      await new Promise<void>((resolve) => pipe.readable.once('close', resolve));
      this.#writeHeld(pipe);
    });
    this.closed = Promise.all(ends).then(() => {
      this.areClosed = true;
    });
  }

  #write(stream: Stream, bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#output.write(stream, bytes) || this.#paused) return;
    this.#paused = true;
    for (const { readable } of this.#pipes) readable.pause();
  }

  /** What looked like the beginning of a secret is none. */
  #writeHeld({ stream, mask }: Pipe): void {
    if (mask !== undefined) this.#write(stream, mask.end());
  }

  /** Reads to the end, or for a while where somebody who is none of ours keeps a pipe open. */
  async readRest(ms: number): Promise<void> {
    const step = ms / 10;
    for (let left = ms; left > 0 && !this.areClosed; left -= this.#paused ? 0 : step) {
      await Promise.race([this.closed, delay(step)]);
    }
    for (const pipe of this.#pipes) {
      pipe.readable.destroy();
      this.#writeHeld(pipe);
    }
  }
}
