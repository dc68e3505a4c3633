import type { IncomingMessage } from 'node:http';
import t from 'tap';
import { createOriginCheck } from '../../src/access/origins.ts';

const check = createOriginCheck(new Set(['build.example.org']));

/** A request with these headers as they come over the line, on a connection to this address. */
function request(raw: string[], localAddress: string | undefined = '127.0.0.1', method = 'GET'): IncomingMessage {
  const headers: Record<string, string> = {};
  for (let i = 0; i < raw.length; i += 2) headers[(raw[i] as string).toLowerCase()] ??= raw[i + 1] as string;
  return { rawHeaders: raw, headers, method, socket: { localAddress } } as unknown as IncomingMessage;
}

t.test('hosts that the server goes by', async (t) => {
  for (const host of [
    'localhost',
    'localhost:8080',
    'LOCALHOST:8080',
    '127.0.0.1:8080',
    '127.8.9.1',
    '[::1]:8080',
    'build.example.org',
    'Build.Example.org:443',
  ]) {
    t.doesNotThrow(() => check(request(['Host', host])), host);
  }
  t.doesNotThrow(() => check(request(['Host', '10.0.0.7:8080'], '10.0.0.7')), 'the address of the connection');
  t.doesNotThrow(() => check(request(['Host', '10.0.0.7:8080'], '::ffff:10.0.0.7')), 'the same by IPv6');
  t.doesNotThrow(() => check(request(['Host', '[2001:db8::7]'], '2001:db8::7')));
  t.doesNotThrow(() => check(request(['Host', 'localhost'], undefined)), 'on a Unix socket');
});

t.test('hosts that it does not go by', async (t) => {
  for (const host of [
    'evil.test:8080',
    'localhost.evil.test',
    'evil-localhost',
    'localhost.',
    '0.0.0.0:8080',
    '[::]:8080',
    '0:8080',
    '127.1:8080',
    '2130706433',
    '10.0.0.7:8080',
    'localhost:8080:1',
    'localhost:8080@evil.test',
    'user@localhost',
    'localhost/evil.test',
    'evil.test, localhost',
    'localhost evil.test',
    'build.example.org.evil.test',
    '',
  ]) {
    t.throws(() => check(request(['Host', host])), { code: 'HOST_REFUSED', statusCode: 403 }, host);
  }
  t.throws(() => check(request([])), { code: 'HOST_REFUSED' }, 'none');
  t.throws(() => check(request(['Host', 'localhost', 'host', 'evil.test'])), { code: 'HOST_REFUSED' }, 'two');
});

t.test('pages of the server itself may talk to it, whoever ends TLS in front of it', async (t) => {
  for (const origin of ['http://localhost:8080', 'https://localhost:8080', 'HTTP://LocalHost:8080']) {
    t.doesNotThrow(() => check(request(['Host', 'localhost:8080', 'Origin', origin])), origin);
  }
  t.doesNotThrow(() => check(request(['Host', 'localhost:8080', 'Sec-Fetch-Site', 'same-origin'])));
  t.doesNotThrow(() => check(request(['Host', 'localhost:8080', 'Sec-Fetch-Site', 'none'])), 'the address bar');
});

t.test('pages of others may not', async (t) => {
  for (const origin of [
    'null',
    '',
    'http://evil.test',
    'http://localhost:3000',
    'http://127.0.0.1:8080',
    'http://localhost:80800',
    'http://evil.test//localhost:8080',
    'file://localhost:8080',
    'http://localhost:8080, http://evil.test',
    'http://localhost:8080/',
  ]) {
    t.throws(
      () => check(request(['Host', 'localhost:8080', 'Origin', origin])),
      { code: 'ORIGIN_REFUSED', statusCode: 403 },
      origin,
    );
  }
});

t.test(
  'what browsers send without an Origin is known by their fetch metadata; who follows a link is welcome',
  async (t) => {
    const from =
      (site: string, mode: string, dest: string, method = 'GET') =>
      () =>
        check(
          request(
            ['Host', 'localhost', 'Sec-Fetch-Site', site, 'Sec-Fetch-Mode', mode, 'Sec-Fetch-Dest', dest],
            '127.0.0.1',
            method,
          ),
        );
    for (const site of ['cross-site', 'same-site']) {
      t.doesNotThrow(from(site, 'navigate', 'document'), `a link, ${site}`);
      t.throws(from(site, 'navigate', 'document', 'POST'), { code: 'ORIGIN_REFUSED' }, `a form, ${site}`);
      t.throws(from(site, 'navigate', 'iframe'), { code: 'ORIGIN_REFUSED' }, `a frame, ${site}`);
      t.throws(from(site, 'no-cors', 'image'), { code: 'ORIGIN_REFUSED' }, `a picture, ${site}`);
      t.throws(from(site, 'no-cors', 'script'), { code: 'ORIGIN_REFUSED' }, `a script, ${site}`);
    }
  },
);
