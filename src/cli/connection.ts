/** Where the server is: at a URL, or behind a Unix socket. */
import { Shellvisor } from '../client/index.ts';

const UNIX = 'unix:';

/** @param server a URL, or `unix:` and the path of a socket; undefined: the usual one. @throws TypeError when it is none. */
export function connectTo(server: string | undefined, token: string | undefined): Shellvisor {
  if (!server?.startsWith(UNIX)) return new Shellvisor({ url: server, token });
  return new Shellvisor({ url: 'http://localhost', token, fetch: fetchThrough(server.slice(UNIX.length)) });
}

/** A `fetch` through a Unix socket. Its library is loaded only where it is used: that takes longer than all the rest. */
function fetchThrough(socketPath: string): typeof fetch {
  const loaded = import('undici').then(({ Agent, fetch }) => {
    // Streams have no end that we could wait for; the server says what takes too long.
    const dispatcher = new Agent({ connect: { socketPath }, bodyTimeout: 0, headersTimeout: 0 });
    return (url: string, init: object) => fetch(url, { ...init, dispatcher });
  });
  return (async (url: string, init: object) => (await loaded)(url, init)) as unknown as typeof fetch;
}
