/** The ProcessRunner that owns scripts in the server's own process: they end with it. */
import type { ProcessRunner } from '../ports.ts';
import { ScriptProcess } from '../scripts/script-process.ts';
import { createScriptSetup, killLeftovers, type ScriptSetupOptions } from '../scripts/setup.ts';

/** @throws StartupError when there is no bash or the folders can't be made. */
export async function createInProcessRunner(options: ScriptSetupOptions): Promise<ProcessRunner> {
  const setup = await createScriptSetup(options);
  return {
    description: `${setup.spawner.kind} in the server's own process`,
    living: new Map(),
    start: (spec, output) => new ScriptProcess(setup, spec, output),
    attach(uuid) {
      throw new Error(`${uuid} can't be attached to: no script outlives this runner`);
    },
    forget() {},
    killLeftovers: (uuids) => killLeftovers(options.dataDir, uuids),
  };
}
