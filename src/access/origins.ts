/**
 * Which requests may come from a browser. A page of somebody else must not reach a server on the reader's own machine:
 * neither by a name of its own that it points here (DNS rebinding), nor by what browsers send to other origins unasked.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { HostRefused, OriginRefused } from '../errors.ts';
import { countOf } from './raw-headers.ts';

/** The names of this machine to itself (RFC 6761, 6.3; RFC 4291, 2.5.3). */
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** `host` or `host:port` as it stands in a Host header, without the user info and escapes that a URL may have (RFC 9110, 7.2). */
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/;

/** Makes the check of a request. @param allowed names that the server answers to beside those of loopback, in lower case. */
export function createOriginCheck(allowed: ReadonlySet<string>): (request: IncomingMessage) => void {
  /** An address that a connection has reached is no name that anybody could point here. */
  const isOurs = (name: string, { localAddress }: IncomingMessage['socket']) =>
    LOOPBACK.test(name) ||
    allowed.has(name) ||
    (isIP(unbracketed(name)) !== 0 && unbracketed(name) === plain(localAddress));

  /** @throws HostRefused, OriginRefused */
  return (request) => {
    const {
      host: given = '',
      origin,
      'sec-fetch-site': site,
      'sec-fetch-mode': mode,
      'sec-fetch-dest': dest,
    } = request.headers;
    const host = given.toLowerCase();
    const name = HOST.exec(host)?.[1];
    if (countOf(request, 'host') !== 1 || name === undefined || !isOurs(name, request.socket))
      throw new HostRefused(host);
    if (origin === undefined && site === undefined) return;
    // Whoever ends TLS in front of us makes `https` of the same host.
    const own = [`http://${host}`, `https://${host}`];
    if (origin !== undefined && !own.includes(origin.toLowerCase())) throw new OriginRefused();
    // Pictures, scripts and frames have no Origin. Whoever follows a link to us is welcome.
    const isLink = request.method === 'GET' && mode === 'navigate' && dest === 'document';
    if ((site === 'cross-site' || site === 'same-site') && !isLink) throw new OriginRefused();
  };
}

const unbracketed = (name: string) => name.replace(/^\[(.*)\]$/, '$1');

/** IPv4 connections to a socket that listens on IPv6 have addresses such as `::ffff:10.0.0.2`. */
const plain = (address: string | undefined) => address?.replace(/^::ffff:(?=\d+\.)/, '');
