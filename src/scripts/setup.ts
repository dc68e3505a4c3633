/** What all scripts of one owner share: found and made once, before the first of them runs. */
import { spawnSync } from 'node:child_process';
import { accessSync, chmodSync, constants } from 'node:fs';
import { rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { StartupError } from '../errors.ts';
import { makeFolders } from '../folders.ts';
import { isWaitedFor } from '../os/child-process.ts';
import { mostOpenFiles } from '../os/open-files.ts';
import { killTrees, ProcessTrees } from '../os/process-trees.ts';
import { createSpawner } from '../os/spawn.ts';
import type { ScriptAccount, ScriptsConfig } from '../ports/process.ts';
import { folderModeFor } from './account.ts';
import { cleanEnvironment } from './environment.ts';
import { type LimitMeans, unsupportedOptions } from './limits.ts';
import { ProgressPipes } from './progress-pipes.ts';
import { Prologue } from './prologue.ts';
import { probeSandbox, type SandboxMeans } from './sandbox.ts';
import { type ScriptSetup, scriptFile } from './script-process.ts';
import { WorkFolders } from './work-folders.ts';

export interface ScriptSetupOptions extends ScriptsConfig {
  /** The environment that scripts get an allowed part of. */
  environment: Record<string, string | undefined>;
  /** Tells the children that somebody else in this process started and will reap. */
  isOwnChild: (pid: number) => boolean;
  /** Tells whoever runs the server what went wrong without being anybody's error. */
  warn?: ((message: string) => void) | undefined;
}

/** @throws StartupError when there is no bash, the folders can't be made, or what is configured is not possible here. */
export async function createScriptSetup(options: ScriptSetupOptions): Promise<ScriptSetup> {
  const { account } = options;
  const env = cleanEnvironment(options.environment, account);
  // Others may pass through, PostgreSQL's user for one; each folder in it is closed by itself.
  makeFolder(options.dataDir, 0o711);
  const bash = findProgram('bash', env.PATH as string);
  if (bash === undefined)
    throw new StartupError('bash was not found in PATH; shellvisor runs bash scripts and needs it');
  const spawner = await createSpawner(account);
  const isOwnChild = (pid: number) => isWaitedFor(pid) || options.isOwnChild(pid);
  const trees = await ProcessTrees.create({ ...options, bash, isOwnChild, entersItself: account === undefined });
  const isRoot = account === undefined && process.getuid?.() === 0;
  const confiner = spawner.deniesPrivileges ? [] : findConfiner(env.PATH as string);
  const sandbox = findSandbox(options, bash, env.PATH as string);
  const limits: LimitMeans = {
    nice: findProgram('nice', env.PATH as string),
    confiner: confiner ?? [],
    controllers: trees.controllers,
    isRoot,
    sandboxProblem:
      sandbox === null ? 'there is no bubblewrap, no program bwrap in PATH' : await probeSandbox(sandbox, spawner),
    maxProcesses: options.maxProcesses,
    maxOpenFiles: options.maxOpenFiles,
    mostOpenFiles: mostOpenFiles(),
  };
  const unsupported = unsupportedOptions(limits);
  if (options.maxProcesses !== undefined && unsupported.maxProcesses !== undefined) {
    throw new StartupError(`SHELLVISOR_MAX_PROCESSES can't be kept: ${unsupported.maxProcesses}`);
  }
  if (options.sandboxAlways && unsupported.sandbox !== undefined) {
    throw new StartupError(`SHELLVISOR_SANDBOX=always can't be kept: ${unsupported.sandbox}`);
  }
  const folderMode = folderModeFor(account);
  const prologue = new Prologue(options.dataDir);
  const scriptsDir = makeOwnFolder(scriptsFolder(options.dataDir), folderMode);
  const root = makeOwnFolder(join(options.dataDir, 'work'), folderMode);
  const flock = findProgram('flock', env.PATH as string);
  if (account !== undefined) assertReaches(account, bash, [prologue.file, scriptsDir, root]);
  return {
    description: account === undefined ? spawner.kind : `${spawner.kind} as ${account.name}`,
    account,
    spawner,
    trees,
    warnings: warningsFor(isRoot, confiner !== undefined, flock !== undefined),
    progress: new ProgressPipes(),
    prologue,
    limits,
    sandbox,
    sandboxAlways: options.sandboxAlways === true,
    bash,
    env,
    scriptsDir,
    work: new WorkFolders({ root, account, spawner, bash, env, flock, warn: options.warn }),
  };
}

/** @throws StartupError where this user can't come to what a script needs. */
function assertReaches({ name, uid, gid }: ScriptAccount, bash: string, paths: string[]): void {
  const look = 'for path; do [[ -r $path || -x $path ]] || exit 1; done';
  const { status } = spawnSync(bash, ['-c', look, bash, ...paths], { uid, gid, cwd: '/', env: {}, stdio: 'ignore' });
  if (status === 0) return;
  throw new StartupError(
    `${name}, the user of SHELLVISOR_RUN_AS, can't reach ${paths[0]}; set DATA_DIR to a folder that others may pass through`,
  );
}

/** What takes from scripts the way to more privileges where the spawner can't: setpriv(1), which costs each an exec. */
function findConfiner(path: string): string[] | undefined {
  const setpriv = findProgram('setpriv', path);
  return setpriv === undefined ? undefined : [setpriv, '--no-new-privs'];
}

/** Only where PATH says: it is what decides whether there is one. */
function findSandbox({ dataDir, socket }: ScriptsConfig, bash: string, path: string): SandboxMeans | null {
  const bwrap = findProgram('bwrap', path, []);
  const env = findProgram('env', path);
  return bwrap === undefined || env === undefined ? null : { bwrap, env, bash, dataDir, socket };
}

function warningsFor(isRoot: boolean, isConfined: boolean, canLock: boolean): string[] {
  const warnings: string[] = [];
  if (isRoot)
    warnings.push(
      'scripts run as root: each can read and change all of this machine, and of this server; SHELLVISOR_RUN_AS names another user',
    );
  if (!isConfined) {
    warnings.push(
      'scripts can gain privileges, by sudo for one: neither koffi works here nor is there setpriv in PATH',
    );
  }
  if (!canLock) {
    warnings.push('working folders that a server leaves when it is killed stay: there is no flock in PATH');
  }
  return warnings;
}

/**
 * Kills what an earlier owner that is gone left running of these commands, and resolves when nothing of them lives.
 * @returns how many processes were killed.
 */
export async function killLeftovers(dataDir: string, uuids: readonly string[]): Promise<number> {
  const killed = await killTrees(uuids);
  await Promise.all(uuids.map((uuid) => rm(scriptFile(scriptsFolder(dataDir), uuid), { force: true })));
  return killed;
}

function scriptsFolder(dataDir: string): string {
  return join(dataDir, 'scripts');
}

function findProgram(name: string, path: string, besides = ['/bin', '/usr/bin']): string | undefined {
  for (const folder of [...path.split(delimiter), ...besides]) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {}
  }
  return undefined;
}

function makeFolder(path: string, mode: number): string {
  try {
    makeFolders(path, mode);
    accessSync(path, constants.W_OK);
    return path;
  } catch (error) {
    throw new StartupError(`the data folder can't be written: ${(error as Error).message}`);
  }
}

/** One that nobody but us uses, which an earlier start may have made with another mode. */
function makeOwnFolder(path: string, mode: number): string {
  makeFolder(path, mode);
  chmodSync(path, mode);
  return path;
}
