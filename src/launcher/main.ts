/**
 * The launcher: the parent of the server and of all scripts. It forks scripts, owns their pipes and reaps them, so that
 * they outlive a crash or an upgrade of the server, and it starts the server again when that happens. It knows no HTTP,
 * no database and no state machines.
 *
 * SIGTERM, SIGINT: the server shuts down gracefully, stopping all scripts; then the launcher ends as it did.
 * SIGHUP: only the server is replaced, scripts run on.
 */
import { randomInt } from 'node:crypto';
import { armFailpoint, type Passes } from '../failpoints.ts';
import { seclude } from '../os/seclusion.ts';
import { pathOfProgram } from '../programs.ts';
import { unsupportedOptions } from '../scripts/limits.ts';
import type { ScriptSetup } from '../scripts/script-process.ts';
import { createScriptSetup } from '../scripts/setup.ts';
import { onShutdownSignals } from '../signals.ts';
import { PROTOCOL, specOf, type ToLauncher } from './protocol.ts';
import { Scripts } from './scripts.ts';
import { ServerProcess } from './server-process.ts';

await seclude();
const newOwner = () => randomInt(1, 2 ** 31);
/** Marks this launcher's commands in the database: a server that is started again finds its own by it. */
let owner = newOwner();
/** The end of what ran under the number before this one. */
let fencing: Promise<void> | undefined;
let setup: ScriptSetup | undefined;
let passes: Passes | undefined;

const server = new ServerProcess(pathOfProgram('server'), {
  onMessage: (message) => void handle(message),
  onGone: () => scripts.detachAll(),
  async onEnd(exitCode) {
    await scripts.killAll();
    process.exit(exitCode);
  },
  log: warn,
});
const scripts = new Scripts({
  control(message, onSent) {
    if (message.type === 'started') passes?.('after-spawn');
    server.control(message, onSent);
  },
  chunk: (chunk) => server.chunk(chunk),
});

/** As the server's log does, which the launcher has not. */
function warn(message: string): void {
  process.stderr.write(`${JSON.stringify({ level: 40, time: Date.now(), msg: message })}\n`);
}

async function handle(message: ToLauncher): Promise<void> {
  switch (message.type) {
    case 'hello':
      return hello(message);
    case 'ready':
      return;
    case 'launch':
      return scripts.launch(setup as ScriptSetup, specOf(message));
    case 'attach':
      return scripts.attach(message.uuid, message.from);
    case 'terminate':
      return scripts.terminate(message.uuid, message.stop, message.graceMs);
    case 'kill':
      return scripts.kill(message.uuid, message.stop);
    case 'ack':
      return scripts.acknowledge(message.uuid, message.upTo);
    case 'forget':
      return scripts.forget(message.uuid);
    case 'fenced':
      // The next server is another node; nothing of this one may live by then.
      owner = newOwner();
      fencing = scripts.forgetAll();
      return;
    default:
      message satisfies never;
  }
}

async function hello({ protocol, config }: Extract<ToLauncher, { type: 'hello' }>): Promise<void> {
  let problem: string | undefined;
  if (protocol !== PROTOCOL) {
    problem = `the launcher speaks version ${PROTOCOL} of their protocol, the server ${protocol}; restart both`;
  } else {
    try {
      setup ??= await createScriptSetup({
        ...config,
        environment: process.env,
        isOwnChild: (pid) => pid === server.pid,
        warn,
      });
      passes ??= armFailpoint(process.env, config.dataDir);
      await fencing;
    } catch (error) {
      problem = (error as Error).message;
    }
  }
  server.control({
    type: 'hello',
    protocol: PROTOCOL,
    owner,
    spawner: setup?.description ?? 'none',
    layers: setup?.trees.layers ?? [],
    warnings: setup?.warnings ?? [],
    unsupported: setup === undefined ? {} : unsupportedOptions(setup.limits),
    scripts: scripts.states(),
    ...(problem === undefined ? {} : { problem }),
  });
}

onShutdownSignals(
  ['SIGTERM', 'SIGINT'],
  () => server.end(),
  () => server.kill(),
);
process.on('SIGHUP', () => server.restart());
server.start();
