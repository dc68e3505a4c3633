/** Opens and closes what the HTTP application listens on: a port, or a Unix socket. */
import { accessSync, constants, rmSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { StartupError } from './errors.ts';

/** How long open connections may take to end once nothing runs any more, in ms. */
const CONNECTIONS_MS = 1000;

/** Whoever may write a Unix socket may connect to it (unix(7)): its owner alone. */
const SOCKET_UMASK = 0o177;

export interface Address {
  host: string;
  port: number;
  /** Absolute path of a Unix socket to listen on instead. */
  socket: string | undefined;
}

/** Said before anything is started, rather than after PostgreSQL is up and commands have been taken over. */
export async function assertFree(address: Address): Promise<void> {
  if (address.socket !== undefined) return freeSocket(address.socket);
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once('error', (error) => reject(cannotListen(address, error)));
    probe.listen(address, () => probe.close(() => resolve()));
  });
}

/**
 * Removes a socket that a killed server has left behind.
 * @throws StartupError when it is in use, is something else, or none can be made there.
 */
async function freeSocket(path: string): Promise<void> {
  const there = statSync(path, { throwIfNoEntry: false });
  const refuse = (why: string) => new StartupError(`can't listen on ${path}: ${why}`);
  try {
    accessSync(dirname(path), constants.W_OK);
  } catch (error) {
    throw refuse(`its folder can't be written: ${(error as Error).message}`);
  }
  if (there === undefined) return;
  if (!there.isSocket()) throw refuse('there is a file of this name that is no socket; set SHELLVISOR_SOCKET');
  await new Promise<void>((resolve, reject) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      reject(refuse('another program listens there already; end it, or set SHELLVISOR_SOCKET'));
    });
    // Nobody listens.
    probe.once('error', () => resolve());
  });
  rmSync(path);
}

/** @returns the URL. @throws StartupError */
export async function listen(app: FastifyInstance, address: Address): Promise<string> {
  const { host, port, socket } = address;
  // Before: it must not be there with another mode for a moment.
  const umask = socket === undefined ? undefined : process.umask(SOCKET_UMASK);
  try {
    const url = await app.listen(socket === undefined ? { host, port } : { path: socket });
    // All addresses have no name, and requests to this one are refused.
    return socket === undefined ? url.replace(/\/\/(0\.0\.0\.0|\[::\])/, '//127.0.0.1') : 'http://localhost';
  } catch (error) {
    throw cannotListen(address, error as NodeJS.ErrnoException);
  } finally {
    if (umask !== undefined) process.umask(umask);
  }
}

function cannotListen({ host, port, socket }: Address, error: NodeJS.ErrnoException): StartupError {
  const why: Record<string, string> = {
    EADDRINUSE: 'another program listens there already; end it, or set PORT',
    EACCES: 'only root may use this port; set PORT to one above 1023',
    EADDRNOTAVAIL: 'this machine has no such address; set HOST',
    ENOTFOUND: 'there is no such host name; set HOST',
  };
  if (socket !== undefined) return new StartupError(`can't listen on ${socket}: ${error.message}`, { cause: error });
  return new StartupError(`can't listen on ${host}:${port}: ${why[error.code ?? ''] ?? error.message}`, {
    cause: error,
  });
}

/** Ends the application; connections that stay open although nothing is being answered any more are cut. */
export async function closeApp(app: FastifyInstance): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), CONNECTIONS_MS);
  await app.close();
  clearTimeout(timer);
}
