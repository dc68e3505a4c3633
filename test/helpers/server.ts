/** A real server in a process of its own, started as `npm start` does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parentOf, processesWith } from './processes.ts';
import type { Scope } from './scope.ts';
import { until } from './until.ts';

/** How long a start may take, in ms: of an embedded PostgreSQL on a busy machine too. */
const START_MS = 60_000;

/** What is started, where it is not this checkout's launcher as by `npm start`. */
export interface LaunchOptions {
  /** `server.ts`: the server alone, which then owns the scripts itself. */
  entry?: 'launcher/main.ts' | 'server.ts';
  /** A command line that becomes what follows it. */
  before?: readonly string[];
  /** The folder of another version, with what it depends on. */
  checkout?: string;
}

/** The folder of this version. */
export const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));

/** How a process ended. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A server process and what it has said. */
export interface ServerProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
  stdout(): string;
  stderr(): string;
}

/** A server that listens. */
export interface TestServer extends ServerProcess {
  /** Such as `http://127.0.0.1:41234`. */
  readonly url: string;
  /** Requests JSON; `body` is sent as JSON. */
  request(
    method: string,
    path: string,
    body?: unknown,
    token?: string,
    // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
  ): Promise<{ status: number; headers: Headers; body: any }>;
  /** Sends a signal and waits for the end. */
  end(signal?: NodeJS.Signals): Promise<Exit>;
}

/** A port that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** An empty folder that is removed with the test. */
export function temporaryFolder(t: Scope): string {
  const folder = mkdtempSync(join(tmpdir(), 'shellvisor-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** What runs: a test that breaks off runs no teardown, and what it has started would wait for its database for ever. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a server process with this environment beside PATH and HOME; it is killed with the test. */
export function launch(t: Scope, env: Record<string, string>, options: LaunchOptions = {}): ServerProcess {
  const { entry = 'launcher/main.ts', before = [], checkout = CHECKOUT } = options;
  const file = join(checkout, 'src', entry);
  const { PATH = '', HOME = '', NODE_COMPILE_CACHE = '' } = process.env;
  const [program = process.execPath, ...args] = [...before, process.execPath, file];
  const child = spawn(program, args, {
    env: { PATH, HOME, NODE_COMPILE_CACHE, PORT: '0', ...env },
    stdio: 'pipe',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  running.add(child);
  const exited = once(child, 'close').then(([code, signal]) => {
    running.delete(child);
    return { code, signal };
  });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  return { child, exited, stdout: () => stdout, stderr: () => stderr };
}

/** Starts a server and waits until it listens. */
export async function startServer(
  t: Scope,
  env: Record<string, string>,
  options: LaunchOptions = {},
): Promise<TestServer> {
  const server = launch(t, { DATA_DIR: env.DATA_DIR ?? temporaryFolder(t), ...env }, options);
  const url = await until(
    'the server says where it listens',
    () => {
      if (server.child.exitCode !== null) throw new Error(`the server ended: ${server.stderr()}`);
      return /API\s+(\S+)\/api/.exec(server.stdout())?.[1];
    },
    START_MS,
  );
  return {
    ...server,
    url,
    async request(method, path, body, token) {
      const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
      if (body !== undefined) headers['content-type'] = 'application/json';
      const init = body === undefined ? {} : { body: JSON.stringify(body) };
      const response = await fetch(url + path, { method, headers, ...init });
      const text = await response.text();
      const isJson = response.headers.get('content-type')?.startsWith('application/json');
      return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
    },
    end(signal = 'SIGTERM') {
      server.child.kill(signal);
      return server.exited;
    },
  };
}

/** The process id of the server below a launcher. */
export async function serverPid(server: Pick<ServerProcess, 'child'>): Promise<number> {
  return until('there is a server', () =>
    processesWith('src/server.ts').find((pid) => parentOf(pid) === server.child.pid),
  );
}
