/** The ProcessRunner that owns scripts in the server's own process: they end with it. */
import { hasLoweredLimit, readMark } from '../os/mark.ts';
import type { ProcessRunner } from '../ports/process.ts';
import { folderProblem } from '../scripts/folder.ts';
import { unsupportedOptions } from '../scripts/limits.ts';
import { ScriptProcess } from '../scripts/script-process.ts';
import { createScriptSetup, killLeftovers, type ScriptSetupOptions } from '../scripts/setup.ts';

/** @throws StartupError when there is no bash or the folders can't be made. */
export async function createInProcessRunner(options: Omit<ScriptSetupOptions, 'isOwnChild'>): Promise<ProcessRunner> {
  // The server has children of other kinds, such as those that start PostgreSQL.
  const isOwnChild = (pid: number) => readMark(pid) === undefined && !hasLoweredLimit(pid);
  const setup = await createScriptSetup({ ...options, isOwnChild });
  return {
    description: `${setup.description} in the server's own process`,
    layers: setup.trees.layers,
    warnings: setup.warnings,
    unsupported: unsupportedOptions(setup.limits),
    living: new Map(),
    refuseFolder: (path) => folderProblem(path, options.account),
    start: (spec, output) => new ScriptProcess(setup, spec, output),
    attach(uuid) {
      throw new Error(`${uuid} can't be attached to: no script outlives this runner`);
    },
    forget() {},
    killLeftovers: (uuids) => killLeftovers(options.dataDir, uuids),
  };
}
