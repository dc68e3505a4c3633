/** The ProcessRunner that has the launcher run scripts: they outlive a crash of the server. */
import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { StartupError } from '../errors.ts';
import {
  encodeControl,
  FrameReader,
  FrameWriter,
  type FromLauncher,
  launchOf,
  PROTOCOL,
  type ScriptState,
  type ToLauncher,
} from '../launcher/protocol.ts';
import type { LivingScript, OutputSink, ProcessRunner, RunningProcess, ScriptsConfig } from '../ports/process.ts';
import { folderProblem } from '../scripts/folder.ts';
import { killLeftovers } from '../scripts/setup.ts';

export interface LauncherOptions {
  /** The descriptor of our end of the socket pair. */
  fd: number;
  /** For the launcher: how scripts are set up. */
  config: ScriptsConfig;
  /** The launcher wants another server to take over. */
  onHandOver: () => void;
  /** The launcher is gone; its scripts are being killed and end as `lost`. */
  onLost: () => void;
}

/** A runner over a launcher, and what else the server has to know of it. */
export interface LauncherRunner extends ProcessRunner {
  /** The number that marks this launcher's commands. */
  owner: number;
  /** Tells the launcher that the server serves. */
  ready(): void;
  /** Takes nothing more from the launcher, so that the journal of loud scripts comes to rest; the next server gets it. */
  pause(): void;
  /** Has the launcher kill and drop all scripts, and give its next server another number. Resolves when it is told. */
  fenced(): Promise<void>;
  /** Lets go of the launcher, so that the process can end. */
  close(): void;
}

/** One script from the server's side. */
interface Remote {
  sink: OutputSink;
  started: (pid: number | null) => void;
  ended: (result: Awaited<RunningProcess['ended']>) => void;
  running: RunningProcess;
}

/** A script whose time goes on while we wait for the database, and whose grace runs out. */
function growing({ stop, graceMs, isKilled, elapsedMs }: ScriptState): LivingScript {
  const heardAt = performance.now();
  const sinceMs = () => performance.now() - heardAt;
  return {
    stop,
    isKilled,
    get graceMs() {
      return graceMs && Math.max(0, graceMs - sinceMs());
    },
    get elapsedMs() {
      return elapsedMs + sinceMs();
    },
  };
}

/** Connects. @throws StartupError when the launcher can't run scripts, or speaks another protocol. */
export async function connectLauncher(options: LauncherOptions): Promise<LauncherRunner> {
  const { config } = options;
  const socket = new Socket({ fd: options.fd });
  const remotes = new Map<string, Remote>();
  const greeted = Promise.withResolvers<Extract<FromLauncher, { type: 'hello' }>>();
  const writer = new FrameWriter(socket);
  const send = (message: ToLauncher) => writer.send([encodeControl(message)]);

  const reader = new FrameReader<FromLauncher>(
    (message) => {
      switch (message.type) {
        case 'hello':
          return greeted.resolve(message);
        case 'started':
          return remotes.get(message.uuid)?.started(message.pid);
        case 'progress': {
          const { percent, text } = message;
          return remotes.get(message.uuid)?.running.onProgress({ percent, text });
        }
        case 'ended': {
          const { end, durationMs } = message;
          return remotes.get(message.uuid)?.ended({ end, durationMs });
        }
        case 'full':
          return remotes.get(message.uuid)?.sink.full();
        case 'hand over':
          return options.onHandOver();
        default:
          message satisfies never;
      }
    },
    ({ uuid, stream, offset, bytes }) => void remotes.get(uuid)?.sink.write(stream, bytes, offset),
  );
  const launcherPid = process.ppid;
  let closed = false;
  socket.on('data', (bytes: Buffer) => reader.push(bytes));
  socket.on('error', () => {});
  socket.once('close', () => {
    if (closed) return;
    options.onLost();
    void endLost();
  });

  async function endLost(): Promise<void> {
    // Its descriptors close a moment before it counts as dead, and with it the control groups of its scripts as abandoned.
    while (process.ppid === launcherPid) await delay(10);
    await killLeftovers(config.dataDir, [...remotes.keys()]);
    for (const remote of remotes.values()) remote.ended({ end: { kind: 'lost' }, durationMs: null });
  }

  send({ type: 'hello', protocol: PROTOCOL, config });
  const hello = await greeted.promise;
  if (hello.problem !== undefined) throw new StartupError(hello.problem);

  /** Follows a script whose launch or attachment is asked for in `first`. */
  function follow(uuid: string, sink: OutputSink, first: ToLauncher): RunningProcess {
    const started = Promise.withResolvers<number | null>();
    const ended = Promise.withResolvers<Awaited<RunningProcess['ended']>>();
    const running: RunningProcess = {
      started: started.promise,
      ended: ended.promise,
      terminate: (stop, graceMs) => send({ type: 'terminate', uuid, stop, graceMs }),
      kill: (stop) => send({ type: 'kill', uuid, stop }),
      onProgress: () => {},
    };
    remotes.set(uuid, { sink, started: started.resolve, ended: ended.resolve, running });
    sink.onCommitted = (upTo) => send({ type: 'ack', uuid, upTo });
    send(first);
    // What is asked of a launcher that is gone never begins.
    if (socket.destroyed) ended.resolve({ end: { kind: 'lost' }, durationMs: null });
    void ended.promise.then(() => started.resolve(null));
    return running;
  }

  return {
    description: `${hello.spawner} in the launcher`,
    layers: hello.layers,
    warnings: hello.warnings,
    unsupported: hello.unsupported,
    owner: hello.owner,
    living: new Map(hello.scripts.map((script) => [script.uuid, growing(script)])),
    // It runs on the same machine as the same user.
    refuseFolder: (path) => folderProblem(path, config.account),
    start: (spec, sink) => follow(spec.uuid, sink, launchOf(spec)),
    attach: (uuid, from, sink) => follow(uuid, sink, { type: 'attach', uuid, from }),
    fenced: () => new Promise((resolve) => writer.send([encodeControl({ type: 'fenced' })], resolve)),
    forget(uuid) {
      remotes.delete(uuid);
      send({ type: 'forget', uuid });
    },
    killLeftovers: (uuids) => killLeftovers(config.dataDir, uuids),
    ready: () => send({ type: 'ready' }),
    pause: () => void socket.pause(),
    close() {
      closed = true;
      socket.end();
    },
  };
}
