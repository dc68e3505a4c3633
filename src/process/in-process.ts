/** The ProcessRunner that owns scripts in the server's own process: they end with it. */
import { accessSync, constants, mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { StartupError } from '../errors.ts';
import { untilEmpty } from '../os/process-table.ts';
import { createSpawner } from '../os/spawn.ts';
import type { OutputSink, ProcessRunner, ProcessSpec, RunningProcess } from '../ports.ts';
import { cleanEnvironment } from './environment.ts';
import { ScriptProcess, type ScriptSetup, scriptFile } from './script-process.ts';

export interface InProcessRunnerOptions {
  /** Folder for the script files and the working folder of scripts; created when missing. */
  dataDir: string;
  /** The environment that scripts get an allowed part of. */
  environment: Record<string, string | undefined>;
}

/** Makes the runner. @throws StartupError when there is no bash or the folders can't be made. */
export async function createInProcessRunner(
  options: InProcessRunnerOptions,
): Promise<ProcessRunner & { spawner: string }> {
  const env = cleanEnvironment(options.environment);
  const setup: ScriptSetup = {
    spawner: await createSpawner(),
    bash: findBash(env.PATH as string),
    env,
    scriptsDir: privateFolder(join(options.dataDir, 'scripts')),
    workDir: privateFolder(join(options.dataDir, 'work')),
  };
  return {
    spawner: setup.spawner.kind,
    start: (spec: ProcessSpec, output: OutputSink): RunningProcess => new ScriptProcess(setup, spec, output),
    async killLeftovers(uuids) {
      const killed = await Promise.all(uuids.map((uuid) => untilEmpty({ uuid }, () => true)));
      await Promise.all(uuids.map((uuid) => rm(scriptFile(setup.scriptsDir, uuid), { force: true })));
      return killed.reduce((sum, count) => sum + count, 0);
    },
  };
}

function findBash(path: string): string {
  for (const folder of [...path.split(delimiter), '/bin', '/usr/bin']) {
    const file = join(folder, 'bash');
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {}
  }
  throw new StartupError('bash was not found in PATH; shellvisor runs bash scripts and needs it');
}

function privateFolder(path: string): string {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    accessSync(path, constants.W_OK);
    return path;
  } catch (error) {
    throw new StartupError(`the data folder can't be written: ${(error as Error).message}`);
  }
}
