/** Opens and closes the HTTP application's port. */
import { createServer } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { StartupError } from './errors.ts';

/** How long open connections may take to end once nothing runs any more, in ms. */
const CONNECTIONS_MS = 1000;

export interface Address {
  host: string;
  port: number;
}

/** Said before anything is started, rather than after PostgreSQL is up and commands have been taken over. */
export async function assertPortFree({ host, port }: Address): Promise<void> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once('error', (error) => reject(cannotListen({ host, port }, error)));
    probe.listen({ host, port }, () => probe.close(() => resolve()));
  });
}

/** @returns the URL. @throws StartupError */
export async function listen(app: FastifyInstance, { host, port }: Address): Promise<string> {
  return app.listen({ host, port }).catch((error) => {
    throw cannotListen({ host, port }, error);
  });
}

function cannotListen({ host, port }: Address, error: NodeJS.ErrnoException): StartupError {
  const why: Record<string, string> = {
    EADDRINUSE: 'another program listens there already; end it, or set PORT',
    EACCES: 'only root may use this port; set PORT to one above 1023',
    EADDRNOTAVAIL: 'this machine has no such address; set HOST',
    ENOTFOUND: 'there is no such host name; set HOST',
  };
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
