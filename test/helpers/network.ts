import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Test } from 'tap';

/** A network between a client and PostgreSQL that can go: connections stay open, and nothing comes through any more. */
export async function breakableNetwork(t: Test, databaseUrl: string) {
  const url = new URL(databaseUrl);
  const socketFile = `${decodeURIComponent(url.hostname)}/.s.PGSQL.5432`;
  const sockets = new Set<Socket>();
  let broken = false;
  const proxy = createServer((client) => {
    const server = connect(socketFile);
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('error', () => {});
      if (broken) socket.pause();
    }
    const relay = (from: Socket, to: Socket) => {
      from.on('data', (bytes) => to.write(bytes));
      from.on('close', () => to.destroy());
      if (broken) from.pause();
    };
    relay(client, server);
    relay(server, client);
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  const { port } = proxy.address() as AddressInfo;
  return {
    url: `postgresql://${url.username}@127.0.0.1:${port}${url.pathname}`,
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
