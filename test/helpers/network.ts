import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Scope } from './scope.ts';

/** Listens for clients of PostgreSQL. `onClient` gets each, and a connection to it. @returns its URL. */
async function proxyTo(t: Scope, databaseUrl: string, onClient: (client: Socket, server: Socket) => void) {
  const url = new URL(databaseUrl);
  const socketFile = `${decodeURIComponent(url.hostname)}/.s.PGSQL.5432`;
  const sockets = new Set<Socket>();
  const proxy = createServer((client) => {
    const server = connect(socketFile);
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    onClient(client, server);
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  const { port } = proxy.address() as AddressInfo;
  return { sockets, url: `postgresql://${url.username}@127.0.0.1:${port}${url.pathname}` };
}

/** A network between a client and PostgreSQL that can go: connections stay open, and nothing comes through any more. */
export async function breakableNetwork(t: Scope, databaseUrl: string) {
  let broken = false;
  const { url, sockets } = await proxyTo(t, databaseUrl, (client, server) => {
    const relay = (from: Socket, to: Socket) => {
      from.on('data', (bytes) => to.write(bytes));
      from.on('close', () => to.destroy());
      if (broken) from.pause();
    };
    relay(client, server);
    relay(server, client);
  });
  return {
    url,
    break() {
      broken = true;
      for (const socket of sockets) socket.pause();
    },
    /** New connections come through; those that were cut off stay so. */
    mend() {
      broken = false;
    },
  };
}

/** A network that can lose a connection over a COMMIT, and bring that to PostgreSQL later. */
export async function lateCommits(t: Scope, databaseUrl: string) {
  let hold: { statement: string; ms: number; held: () => void } | undefined;
  const { url } = await proxyTo(t, databaseUrl, (client, server) => {
    let isMeant = false;
    let timer: NodeJS.Timeout | undefined;
    client.on('data', (bytes) => {
      isMeant ||= hold !== undefined && bytes.includes(hold.statement);
      if (!isMeant || hold === undefined || !bytes.includes('COMMIT')) return server.write(bytes);
      const { ms, held } = hold;
      hold = undefined;
      timer = setTimeout(() => server.end(bytes), ms);
      client.destroy();
      held();
      return true;
    });
    server.on('data', (bytes) => client.write(bytes));
    server.on('close', () => {
      clearTimeout(timer);
      client.destroy();
    });
    client.on('close', () => {
      if (timer === undefined) server.destroy();
    });
  });
  return {
    url,
    /** Does so with the next transaction that has such a statement. Resolves when its connection is lost. */
    hold(statement: string, ms: number): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>();
      hold = { statement, ms, held: resolve };
      return promise;
    },
  };
}
