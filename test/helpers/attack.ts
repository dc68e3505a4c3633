/** A server to attack over bare sockets, and how to see whether anything has come of it. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Test } from 'tap';
import { startApp, type TestApp, type TestAppOptions } from './app.ts';
import { temporaryFolder } from './server.ts';
import { until } from './until.ts';

/** How long the server may take to close a connection, in ms. */
const CLOSE_MS = 20_000;

export interface Target extends TestApp {
  port: number;
  /** What the header Host has to say. */
  host: string;
  /** The JSON of a command that leaves a trace when it runs. */
  payload: string;
  /** A request with these lines of headers, and with Host. */
  head(requestLine: string, ...headers: string[]): string;
  /** A request for the payload, or another body, with its length and these lines of headers. */
  post(headers: string[], body?: string): string;
  /** Sends these bytes, then asks for the health, and gives all that was answered until the server closed. */
  send(bytes: string | Buffer): Promise<Answers>;
  /** Opens a connection and sends these bytes; what comes back is not read unless `read` says so. */
  open(bytes: string | Buffer, read?: boolean): Promise<Connection>;
  /** Fails when any command was stored, the trace is there, or the server is not well. */
  unharmed(what: string): Promise<void>;
}

/** What came back over a connection. */
export interface Answers {
  text: string;
  /** The status codes, with spaces between them: the health, at last, is 200. */
  statuses: string;
}

export interface Connection {
  socket: Socket;
  answers(): Answers;
  closed: Promise<unknown>;
}

export async function startTarget(t: Test, options?: TestAppOptions): Promise<Target> {
  const app = await startApp(t, options);
  await app.app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.app.server.address() as AddressInfo;
  const host = `127.0.0.1:${port}`;
  const trace = join(temporaryFolder(t), 'trace');
  const payload = JSON.stringify({ script: `touch ${trace}` });

  const head: Target['head'] = (line, ...headers) => [line, `Host: ${host}`, ...headers, '', ''].join('\r\n');
  const probe = head('GET /manage/health HTTP/1.1', 'Connection: close');

  const open: Target['open'] = async (bytes, read = false) => {
    const socket = connect(port, '127.0.0.1').setEncoding('latin1');
    let text = '';
    const closed = new Promise((resolve) => socket.once('close', resolve));
    // A server that cuts a connection does so while we are still sending.
    socket.on('error', () => {});
    if (read) {
      socket.on('data', (part) => {
        text += part;
      });
    }
    t.teardown(() => socket.destroy());
    await Promise.race([once(socket, 'connect').catch(() => {}), closed]);
    socket.write(bytes);
    return { socket, closed, answers: () => ({ text, statuses: statusesOf(text) }) };
  };

  return {
    ...app,
    port,
    host,
    payload,
    head,
    open,
    post: (headers, body = payload) =>
      head('POST /api/v1/commands HTTP/1.1', ...headers, `Content-Length: ${Buffer.byteLength(body)}`) + body,
    async send(bytes) {
      const { socket, closed, answers } = await open(Buffer.concat([Buffer.from(bytes), Buffer.from(probe)]), true);
      await until('the server closes the connection', () => socket.closed, CLOSE_MS);
      await closed;
      return answers();
    },
    async unharmed(what) {
      const [row] = await app.database.rows('SELECT count(*)::int AS commands FROM commands');
      t.same(row, { commands: 0 }, `${what}: no command`);
      t.notOk(existsSync(trace), `${what}: nothing has run`);
      const { status } = await fetch(`http://${host}/manage/health`);
      t.equal(status, 200, `${what}: the server is well`);
    },
  };
}

const statusesOf = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => status).join(' ');
